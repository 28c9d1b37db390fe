"""Numbers that count the documents as they were sent become the caller's numbers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cut_prompts import cut_up, delta, event, stop
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.prompt import Compressed, Prompt, Segment, Where
from unabridged.recovery.answer import restore_answer
from unabridged.recovery.citations import by_place
from unabridged.recovery.index import Index
from unabridged.recovery.restore import restore
from unabridged.recovery.stream import StreamRestorer
from unabridged.recovery.text_stream import TextRestorer


def sent(
    *heads: str, order: tuple[int, ...] = (), dropped: tuple[int, ...] = (), chained: bool = False
) -> Compressed:
    """Documents with these heads, sent in this order without those dropped."""
    segments = tuple(
        Segment(
            kind="document",
            text=f"{head}A text about the matter.\n",
            head=len(head),
            where=Where(path=("messages", 0, "content"), start=100 * i),
            chained=chained,
        )
        for i, head in enumerate(heads)
    )
    return Compressed(
        prompt=Prompt(body="", segments=segments),
        kept=tuple(() if i in dropped else ((0, len(s.text)),) for i, s in enumerate(segments)),
        why=("",) * len(segments),
        order=order,
        tokens_before=(9,) * len(segments),
        tokens_after=(9,) * len(segments),
    )


PLAIN = ("<doc>", "<doc>", "<doc>", "<doc>")
TURNED = sent(*PLAIN, order=(2, 0, 3, 1))
INDEX = Index.build(TURNED, by_place=True)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("So it is [1].", "So it is [3]."),
        ("So it is[2][3].", "So it is[1][4]."),
        ("See [1, 4; 2].", "See [3, 2; 1]."),
        ("See [1", "See [1"),
        ("See (1), 1], [0], [5] and [1 of 4].", "See (1), 1], [0], [5] and [1 of 4]."),
        ("`a[1]`\n```\nb[2]\n```\n[1]", "`a[1]`\n```\nb[2]\n```\n[3]"),
    ],
)  # fmt: skip
def test_a_number_in_brackets_becomes_the_callers(said: str, means: str) -> None:
    assert restore(said, INDEX).text == means


def test_each_edit_names_the_document() -> None:
    edit = restore("So [2].", INDEX).edits[0]
    assert (edit.start, edit.end, edit.was, edit.now) == (4, 5, "2", "1")
    assert edit.source == (0, (0, len(TURNED.prompt.segments[0].text)))


def test_documents_that_were_dropped_are_reckoned_with() -> None:
    cited = by_place(sent(*PLAIN, dropped=(0, 2)))
    assert {number: citation.number for number, citation in cited.items()} == {"1": "2", "2": "4"}


@pytest.mark.parametrize(
    "compressed",
    [
        sent("[1] ", "[2] ", order=(1, 0)),
        sent("Document 1: ", "Document 2: ", order=(1, 0)),
        sent('<document index="1">', '<document index="2">', order=(1, 0)),
        sent("문서 1: ", "문서 2: ", order=(1, 0)),
        sent(*PLAIN),
        sent(*PLAIN, dropped=(0,), chained=True),
    ],
    ids=["[1]", "Document 1", "an attribute", "Korean", "nothing moved", "paragraphs"],
)
def test_numbers_of_the_callers_own_stay_as_the_model_says_them(compressed: Compressed) -> None:
    assert by_place(compressed) == {}


def test_documents_in_several_strings_are_not_counted() -> None:
    first, *rest = sent(*PLAIN, dropped=(0,)).prompt.segments
    moved = replace(first, where=Where(path=("messages", 1, "content"), start=0))
    apart = sent(*PLAIN, dropped=(0,))
    prompt = replace(apart.prompt, segments=(moved, *rest))
    assert by_place(replace(apart, prompt=prompt)) == {}


def test_without_a_policy_that_says_so_numbers_stay() -> None:
    assert restore("So [1].", Index.build(TURNED)).text == "So [1]."


@given(st.data(), st.lists(st.sampled_from(["[", "]", "1", "2", "12", ", ", " ", "So", "`"])))
def test_how_it_is_chopped_changes_nothing(data: st.DataObject, words: list[str]) -> None:
    said = "".join(words)
    restorer = TextRestorer(INDEX)
    pieces = data.draw(cut_up(said))
    assert "".join(map(restorer.feed, pieces)) + restorer.flush() == restore(said, INDEX).text


def test_a_streamed_answer_cites_the_callers_numbers() -> None:
    stream = StreamRestorer(INDEX)
    pieces = [event(delta(piece)) for piece in ("So [", "1", "] and [2", ", 3].")]
    out = b"".join(map(stream.feed, [*pieces, event(stop()), b"data: [DONE]\n\n"])) + stream.flush()
    chunks = [json.loads(line[6:]) for line in out.decode().splitlines() if line[6:7] == "{"]
    said = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert said == "So [3] and [1, 4]."


def test_a_whole_answer_cites_them_in_its_text_and_not_in_json_numbers() -> None:
    def answer(content: str, arguments: str) -> bytes:
        call = {"function": {"name": "f", "arguments": arguments}}
        message = {"content": content, "tool_calls": [call]}
        return json.dumps({"choices": [{"index": 0, "message": message}]}).encode()

    came = answer("So [1].", '{"n": [1], "why": "see [2]"}')
    assert json.loads(restore_answer(came, INDEX).body) == json.loads(
        answer("So [3].", '{"n": [1], "why": "see [1]"}')
    )
