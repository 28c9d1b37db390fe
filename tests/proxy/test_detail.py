"""Segments without their text, answers put together from their pieces, edits in their places."""

from __future__ import annotations

import json

import pytest
from receipt_world import TEXT, seen

from unabridged.proxy.detail import (
    MOST_ANSWER,
    Detail,
    Heard,
    answers,
    edit_rows,
    heard,
    kept_segments,
    segment_rows,
    texts_of,
)
from unabridged.proxy.relay import Untouched
from unabridged.recovery.answer import Edit
from unabridged.recovery.text_stream import Piece

PATH = ("choices", 0, "message", "content")
JSON = [(b"content-type", b"application/json")]


def edit(start: int, end: int, was: str, now: str) -> Edit:
    piece = Piece(start=start, end=end, was=was, now=now, source=(2, (5, 9)), why="cut short")
    return Edit(path=PATH, piece=piece)


def test_rows_say_what_was_asked_and_got_and_no_word_of_the_text() -> None:
    rows = segment_rows(seen())
    assert sum(row["tokens"] for row in rows) > sum(row["got"] for row in rows)
    assert all(row["reason"] for row in rows)
    assert "harbour" not in json.dumps(rows)


def test_kept_segments_tile_the_prompt() -> None:
    assert "".join(row["text"] for row in kept_segments(seen().compressed)) == TEXT


def test_edits_are_placed_in_the_restored_text() -> None:
    found = Heard("application/json")
    found.feed(b'{"choices": [{"message": {"content": "The Forth and the Tay."}}]}')
    edits = [edit(0, 9, "The Forth", "The Forth Bridge"), edit(18, 21, "Tay", "Tay Bridge")]
    (answer,) = answers(found, edits)
    assert answer["restored"] == "The Forth Bridge and the Tay Bridge."
    assert [answer["restored"][e["start"] : e["end"]] for e in answer["edits"]] == [
        "The Forth Bridge",
        "Tay Bridge",
    ]
    assert edit_rows(edits)[0]["source"] == {"segment": 2, "start": 5, "end": 9}


CONTENT = "choices[0].message.content"
STREAM = b"".join(
    b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"
    for delta in ({"role": "assistant"}, {"content": "two "}, {"content": "words"})
)


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (STREAM + b"data: [DONE]\n\n", "text/event-stream", {CONTENT: "two words"}),
        (STREAM[:-30], "text/event-stream", {CONTENT: "two "}),
        (b'{"choices": [{"text": "x"}]}', "application/json", {"choices[0].text": "x"}),
        (
            b'{"choices": [{"message": {"content": null, "tool_calls": '
            b'[{"function": {"arguments": "{}"}}]}}]}',
            "application/json",
            {"choices[0].message.tool_calls[0].function.arguments": "{}"},
        ),
        (b"not json", "application/json", {}),
        (b"[1]", "application/json", {}),
        (b'{"choices": [null, 3]}', "application/json", {}),
    ],
)  # fmt: skip
def test_texts_of_an_answer(body: bytes, kind: str, expected: dict[str, str]) -> None:
    assert texts_of(body, kind) == expected


def test_nothing_is_heard_unless_it_may_be_kept() -> None:
    silent, keeping = Detail(), Detail(keep_seconds=60)
    plain = Untouched()
    assert heard(plain, JSON, silent) is plain
    assert heard(plain, [*JSON, (b"content-encoding", b"gzip")], keeping) is plain
    through = heard(plain, JSON, keeping)
    assert through.feed(b"{}") == b"{}"
    assert keeping.heard is not None and keeping.heard.body == b"{}"


def test_a_long_answer_is_heard_up_to_a_limit() -> None:
    found = Heard("application/json")
    for _ in range(3):
        found.feed(b"x" * (MOST_ANSWER // 2))
    assert len(found.body) <= MOST_ANSWER
    assert found.flush() == b""
