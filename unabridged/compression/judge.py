"""Models that read question and document together and say how well they go with each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unabridged.compression.blocks import Block, context_of, passage_of, text_of
from unabridged.compression.job import Job
from unabridged.compression.scorer import TokenScores
from unabridged.compression.semantic import asked
from unabridged.compression.surprise import score

RESTRICT = " We can get the answer to this question in the given documents."
"""Stands behind the question when documents are judged (LongLLMLingua 4.1, the restrictive
statement)."""

Scores = NDArray[np.float64]


class NoReranker(Exception):
    """There is no cross-encoder to rank with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What judges the best candidates."""

    name: str
    """For the reasons."""
    scores: Callable[[Job, Sequence[Block]], Scores]
    """One number for each block, higher is better."""


def judge_of(job: Job) -> Judge | None:
    """The judge that the policy lets `auto` have; None: it wants none, or there is none that is
    strong enough to be of help (`judge`)."""
    by = job.policy.judged_by
    if by == "reranker" and job.reranker() is not None:
        return Judge(name="the reranker", scores=by_cross_encoder)
    if by == "scorer" and job.scorer is not None:
        return Judge(name="the scorer", scores=lambda job, blocks: foresight(job, blocks)[1])
    return None


def by_cross_encoder(job: Job, blocks: Sequence[Block]) -> Scores:
    """What the policy's reranker says. Raises NoReranker if there is none."""
    reranker = job.reranker()
    if reranker is None:
        raise NoReranker(
            f"rank: cross-encoder needs a reranker, and {job.policy.reranker!r} is not at hand: "
            "name one in the policy (reranker: path:DIRECTORY, hf:NAME or {litellm: MODEL})"
        )
    passages = [passage_of(job, block) for block in blocks]
    return reranker.scores(asked(job.question), passages, job.checkpoint)


def foresight(job: Job, blocks: Sequence[Block]) -> tuple[dict[Block, TokenScores], Scores]:
    """The surprise of each block's own words, and how well the question and the restrictive
    statement are foreseen behind it: the mean log-likelihood of their tokens, in nats. One pass
    gives both."""
    texts = [text_of(job, block) for block in blocks]
    behind = f"\n\n{job.question.strip()}{RESTRICT}"
    found = score(job, [text + behind for text in texts], [context_of(job, b) for b in blocks])
    parts = [divide(tokens, len(text)) for tokens, text in zip(found, texts, strict=True)]
    own = {block: before for block, (before, _) in zip(blocks, parts, strict=True)}
    return own, np.array([-mean(question) for _, question in parts]).round(3)


def mean(tokens: TokenScores) -> float:
    """The mean surprise of some tokens in nats; 0 of none."""
    return float(tokens.scores.mean()) if len(tokens.scores) else 0.0


def divide(tokens: TokenScores, at: int) -> tuple[TokenScores, TokenScores]:
    """The scores of a text's first `at` characters, and those of the rest."""
    ours = tokens.spans[:, 0] < at
    spans = tokens.spans[ours].copy()
    spans[:, 1] = np.minimum(spans[:, 1], at)
    return (
        TokenScores(spans=spans, scores=tokens.scores[ours]),
        TokenScores(spans=tokens.spans[~ours] - at, scores=tokens.scores[~ours]),
    )
