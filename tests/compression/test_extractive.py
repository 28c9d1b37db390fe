"""Sentences are chosen to the exact budget, in every language, from any text."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.extractive import extractive
from unabridged.compression.job import Cut, Job
from unabridged.compression.kept import extract, subset, valid
from unabridged.compression.prompt import Segment, Where
from unabridged.compression.protect import whole
from unabridged.compression.tokens import counter
from unabridged.policies.policy import Kind, Policy

COUNT = counter("gpt-4o")
WHERE = Where(path=("x",), start=0)


def job(
    texts: Sequence[str], tokens: int, question: str = "", *, kind: Kind = "document",
    head: str = "", policy: Policy | None = None,
) -> Job:  # fmt: skip
    segments = tuple(
        Segment(kind=kind, text=f"{head}{text}", where=WHERE, head=len(head)) for text in texts
    )
    return Job(
        segments=segments, question=question, tokens=tokens, count=COUNT, policy=policy or Policy()
    )


def run(work: Job) -> tuple[list[str], int, Cut]:
    cut = extractive(work)
    texts = [extract(s.text, spans) for s, spans in zip(work.segments, cut.kept, strict=True)]
    return texts, sum(COUNT(text) for text in texts if text), cut


VOCABULARY = {
    "en": ["river", "the", "bridge", "was", "old", "and", "people", "crossed", "it", "often"],
    "ko": ["강은", "다리를", "오래된", "사람들이", "건넜다", "그리고", "자주", "물은", "맑았다"],
    "zh": ["河", "桥", "老", "人们", "过", "常常", "水", "清", "在", "城市"],
    "ja": ["川", "橋は", "古い", "人々が", "渡った", "よく", "水", "きれい", "町で"],
    "ar": ["النهر", "الجسر", "قديم", "الناس", "عبروا", "كثيرا", "الماء", "صاف"],
}
JOIN = {"zh": "", "ja": ""}
STOP = {"zh": "。", "ja": "。"}


def prose(language: str, sentences: int) -> str:
    """Sentences of varying length from a few words, always the same."""
    vocabulary, found = VOCABULARY[language], []
    for i in range(sentences):
        picked = [vocabulary[(i * 7 + j * j) % len(vocabulary)] for j in range(5 + i % 9)]
        found.append(JOIN.get(language, " ").join(picked) + STOP.get(language, "."))
    return JOIN.get(language, " ").join(found)


@pytest.mark.parametrize("language", VOCABULARY)
def test_the_budget_is_met_to_within_one_word_at_every_length(language: str):
    texts = [prose(language, 40 + 20 * i) for i in range(4)]
    total = sum(map(COUNT, texts))
    longest_word = max(COUNT(" " + word) for word in VOCABULARY[language])
    for tokens in [20, 21, 33, 50, 99, 150, 317, 640, 1000, 2000, 4000, 8000]:
        _, got, _ = run(job(texts, tokens, VOCABULARY[language][0]))
        assert got <= tokens
        assert got >= min(tokens, total) - longest_word


def test_the_budget_is_met_to_within_one_word_as_long_as_a_document_with_its_head_is_open():
    texts = [prose("en", 12) for _ in range(10)]
    head = "Document [1](Title: The Old Bridge) "
    for tokens in range(40, 900, 37):
        kept, got, _ = run(job(texts, tokens, "bridge", head=head))
        is_open = any(0 < len(text) < len(head + texts[0]) for text in kept)
        assert tokens - 2 - (0 if is_open else COUNT(head)) <= got <= tokens


ANY_TEXT = st.one_of(
    st.text(max_size=150),
    st.lists(
        st.sampled_from(
            [
                "word ",
                "Sentence one. ",
                "漢字。",
                "한국어 문장. ",
                "\r\n",
                "👨‍👩‍👧",
                "e\u0301",
                "\u0301",
                "<s>",
                "<|endoftext|>",
                "12.5 kg ",
                '"a b" ',
                "[NEW0]",
                "\n\n",
                "- item\n",
                "سؤال؟ ",
                "https://a.b/c ",
                "`x y` ",
                "```\n",
            ]
        ),
        max_size=30,
    ).map("".join),
)
TEXTS = st.lists(ANY_TEXT, max_size=4)


@given(TEXTS, st.integers(0, 200), st.sampled_from(["", "word", "漢字 문장", "12.5"]))
def test_spans_are_valid_within_budget_and_cut_nothing_protected(
    texts: list[str], tokens: int, question: str
):
    work = job(texts, tokens, question)
    _, got, cut = run(work)
    assert got <= tokens
    for text, spans in zip(texts, cut.kept, strict=True):
        assert valid(spans, len(text))
        borders = {m.start() for m in regex.finditer(r"\X", text)} | {len(text)}
        assert all(a in borders and b in borders for a, b in spans)
        edges = {edge for span in spans for edge in span}
        # Spans that only touch are one in `whole`, and one may cut between them.
        assert not any(
            a < e < b for a, b in whole(text) for e in edges if text[e - 1] not in ' \n"`'
        )
    assert len(cut.why) == len(texts)
    assert extractive(work) == cut


@given(TEXTS, st.integers(0, 150), st.integers(0, 150))
def test_a_smaller_budget_keeps_a_subset(texts: list[str], a: int, b: int):
    plain = [text.replace('"', "").replace("`", "") for text in texts]
    small, large = (extractive(job(plain, n, "word")) for n in sorted((a, b)))
    if len(plain) == 1 and not whole(plain[0]):
        assert all(subset(x, y) for x, y in zip(small.kept, large.kept, strict=True))


@given(TEXTS)
def test_a_budget_of_everything_keeps_everything(texts: list[str]):
    work = job(texts, 10**6, "word")
    assert run(work)[0] == [text if text.strip() else "" for text in texts]


def test_the_sentence_that_answers_is_kept_and_order_stands():
    texts = [
        "Tea is old. The bridge opened in 1932. Rain fell.",
        "Cats sleep. Bridge painters work.",
    ]
    wanted = " The bridge opened in 1932."
    kept, _, cut = run(job(texts, COUNT(wanted), "When did the bridge open?"))
    assert kept == [wanted, ""]
    assert cut.why[0] == "cut to sentences by BM25 against the question"


def test_a_dropped_document_takes_its_head_with_it():
    kept, _, cut = run(job(["Zebra stripes.", "Cars rust."], 7, "zebra", head="Document: "))
    assert kept == ["Document: Zebra stripes.", ""]
    assert cut.why[1].startswith("dropped: others rank above it")


def test_demonstrations_are_kept_or_dropped_whole():
    texts = [f"Q: What is {i} plus {i}?\nA: {i} plus {i} is {2 * i}.\n\n" for i in range(8)]
    for tokens in (0, 10, 30, 60, 100):
        kept, got, _ = run(job(texts, tokens, "What is 5 plus 5?", kind="demonstration"))
        assert got <= tokens
        assert all(text in ("", original) for text, original in zip(kept, texts, strict=True))
    kept, _, _ = run(job(texts, 30, "What is 5 plus 5?", kind="demonstration"))
    assert kept[5]


def test_json_from_a_tool_is_never_cut_by_sentences():
    result = '{"flights": [{"id": "HAT001", "note": "Late. Very late. Cancelled."}]}'
    kept, _, cut = run(job([result, "Some prose. More prose."], 5, kind="tool_output"))
    assert kept[0] == result
    assert "JSON" in cut.why[0]


def test_a_json_document_is_kept_whole_or_not_at_all():
    text = '{"a": "One. Two. Three.", "b": [1, 2, 3]}'
    for tokens in range(0, 40, 3):
        assert run(job([text], tokens))[0][0] in ("", text)


def test_code_in_fences_is_kept_whole_or_not_at_all():
    fence = "```py\nx = 1\n\ny = 2. \nz = 3\n```"
    for tokens in range(0, 60, 3):
        (kept,), _, _ = run(
            job([f"Before it. More words here.\n{fence}\nAfter it."], tokens, "words")
        )
        assert fence in kept or "x = 1" not in kept


def test_what_the_policy_forces_is_kept_even_beyond_the_budget():
    policy = Policy(force=("secret",))
    kept, _, _ = run(job(["Bridge one. The secret word. Bridge two."], 3, "bridge", policy=policy))
    assert "The secret word." in kept[0]


def test_a_line_of_200_000_characters_is_cut_in_time():
    for unit in ("a", "漢", "word ", "가나다 ", "1,"):
        start = time.perf_counter()
        _, got, _ = run(job([unit * (200_000 // len(unit))], 500, "word"))
        assert got <= 500
        assert time.perf_counter() - start < 8
