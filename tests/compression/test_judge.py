"""A model that reads question and document together judges the best candidates, if it is strong."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from unabridged.compression.auto import auto
from unabridged.compression.blocks import blocks_of
from unabridged.compression.encoder import HashedEncoder
from unabridged.compression.extractive import units_of
from unabridged.compression.job import Cut, Job
from unabridged.compression.judge import (
    RESTRICT,
    NoReranker,
    by_cross_encoder,
    divide,
    foresight,
    judge_of,
)
from unabridged.compression.kept import extract
from unabridged.compression.meaning import by_meaning
from unabridged.compression.prompt import Segment, Where
from unabridged.compression.scorer import TokenScores
from unabridged.policies.policy import Completions, Perplexity, Policy

ASKED = "Who kept the book of the tides?"
TEXTS = [
    f"The book of the tides lay in the {place} of the town. Nobody knows who had kept the book.\n"
    for place in ("harbour", "quarry", "mill", "forge", "chapel", "tannery")
]
FLEET = Completions(url="http://gpu-1:8000/v1", model="large")


class Knowing:
    """A Scorer that expects the question behind a text with `word`."""

    revision = "knowing"

    def __init__(self, word: str) -> None:
        self.word = word
        self.seen: list[str] = []

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        self.seen += texts
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> TokenScores:
        spans = np.array([m.span() for m in re.finditer(r"\s*\S+", text)], dtype=np.int32)
        asked = text.find(ASKED)
        expected = self.word in text[:asked]
        scores = [0.5 if expected and start >= asked else 3.0 for start, _ in spans]
        return TokenScores(spans=spans, scores=np.array(scores, dtype=np.float32))


class Reading:
    """A Reranker that looks for a word."""

    revision = "reading"

    def __init__(self, word: str) -> None:
        self.word = word

    def scores(
        self, question: str, passages: Sequence[str], checkpoint: Callable[[], None] = lambda: None
    ) -> np.ndarray:
        return np.array([float(self.word in passage) for passage in passages])


def job(
    policy: Policy, scorer: Knowing | None = None, reranker: Reading | None = None, tokens: int = 24
) -> Job:
    where = Where(path=("x",), start=0)
    return Job(
        segments=tuple(Segment(kind="document", text=text, where=where) for text in TEXTS),
        question=ASKED,
        tokens=tokens,
        count=lambda text: len(text.split()),
        policy=policy,
        scorer=(lambda: scorer) if scorer else None,
        encoder=HashedEncoder,
        reranker=lambda: reranker,
    )


def left(found: Cut) -> str:
    return "".join(extract(text, spans) for text, spans in zip(TEXTS, found.kept, strict=True))


def test_a_scorer_on_other_machines_judges_and_a_small_one_here_does_not() -> None:
    scorer = Knowing("chapel")
    judged = auto(job(Policy(scorer=FLEET), scorer))
    assert "chapel" in left(judged)
    assert "judged by the scorer" in judged.why[0]
    scorer.seen.clear()
    alone = auto(job(Policy(), scorer))
    assert "judged" not in alone.why[0]
    assert scorer.seen == []
    assert "chapel" not in left(alone)


def test_a_policy_may_ask_for_a_judge_always_or_never() -> None:
    scorer = Knowing("chapel")
    assert "chapel" in left(auto(job(Policy(judge="always"), scorer)))
    assert "chapel" not in left(auto(job(Policy(judge="never", scorer=FLEET), scorer)))


def test_a_reranker_judges_wherever_the_policy_names_one() -> None:
    policy = Policy(reranker="path:/models/reranker", scorer=FLEET)
    found = auto(job(policy, Knowing("mill"), Reading("forge")))
    assert "forge" in left(found)
    assert "judged by the reranker" in found.why[0]


def test_a_judge_that_is_not_there_is_done_without() -> None:
    assert judge_of(job(Policy(reranker="path:/models/reranker"))) is None
    assert judge_of(job(Policy(judge="always"))) is None


def test_no_more_than_the_candidates_are_judged() -> None:
    scorer = Knowing("chapel")
    policy = Policy(judge="always", perplexity=Perplexity(candidates=2))
    auto(job(policy, scorer))
    assert len(scorer.seen) == 2
    assert all(text.endswith(f"{ASKED}{RESTRICT}") for text in scorer.seen)


def test_what_was_judged_best_ranks_before_what_was_judged_worse() -> None:
    work = job(Policy(judge="always"), Knowing("chapel"))
    units = units_of(work.segments, ())
    ranks, _ = by_meaning(work, units, judge_of(work))
    assert units[int(ranks.argmax())].segment == 4


def test_the_question_is_foreseen_behind_the_block_that_answers_it() -> None:
    work = job(Policy(), Knowing("forge"))
    own, expected = foresight(work, blocks_of(work))
    assert int(expected.argmax()) == 3
    assert [int(tokens.spans.max()) for tokens in own.values()] == [len(text) for text in TEXTS]


def test_a_reranker_that_is_not_there_is_missed_by_name() -> None:
    with pytest.raises(NoReranker, match="name one in the policy"):
        by_cross_encoder(job(Policy()), [])


def test_the_scores_of_document_and_question_part_at_the_border() -> None:
    tokens = TokenScores(
        spans=np.array([[0, 3], [3, 6], [6, 9]], dtype=np.int32),
        scores=np.array([1, 2, 3], dtype=np.float32),
    )
    own, behind = divide(tokens, 5)
    assert own.spans.tolist() == [[0, 3], [3, 5]]
    assert behind.spans.tolist() == [[1, 4]]
    assert behind.scores.tolist() == [3]
