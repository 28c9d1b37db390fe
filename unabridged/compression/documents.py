"""Which documents come first, by every way of ranking that needs no causal model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from unabridged.compression.blocks import Block, at_best, passage_of, places
from unabridged.compression.extractive import units_of
from unabridged.compression.job import Job
from unabridged.compression.judge import by_cross_encoder
from unabridged.compression.meaning import by_meaning
from unabridged.compression.rank import RANKERS
from unabridged.compression.semantic import asked

Scores = NDArray[np.float64]

NEAR = 3.0
"""Softens the sum of two rankings: 1 / (NEAR + rank), so that first places count most."""


def by_texts(name: str) -> Callable[[Job, Sequence[Block]], Scores]:
    """Ranks by what the words of question and passage say to a ranker of RANKERS."""

    def scores(job: Job, blocks: Sequence[Block]) -> Scores:
        return RANKERS[name](job.question, [passage_of(job, block) for block in blocks])

    return scores


def by_embeddings(job: Job, blocks: Sequence[Block]) -> Scores:
    """The cosine of passage and question; by words while there is no encoder."""
    encoder = job.encoder()
    if encoder is None:
        return by_texts("bm25")(job, blocks)
    passages = [passage_of(job, block) for block in blocks]
    found = encoder.passages(passages, [()] * len(passages), job.checkpoint)
    vector = encoder.question(asked(job.question))
    return np.array([float(each.whole @ vector) for each in found]).round(4)


def by_sentences(job: Job, blocks: Sequence[Block]) -> Scores:
    """The worth of a block's best sentence, by BM25, vectors and links together as `auto` ranks
    them; where there is no encoder, by BM25 of the whole passage."""
    if job.encoder() is None:
        return by_texts("bm25")(job, blocks)
    units = units_of(job.segments, job.policy.protect)
    ranks, _ = by_meaning(job, units)
    return at_best(blocks, places(blocks, units), ranks)


DOCUMENT_RANKERS: dict[str, Callable[[Job, Sequence[Block]], Scores]] = {
    "sentences": by_sentences,
    "bm25": by_texts("bm25"),
    "gzip": by_texts("gzip"),
    "embeddings": by_embeddings,
    "cross-encoder": by_cross_encoder,
}
"""By the name that a policy gives (`perplexity.rank`)."""


def joined(*orders: Sequence[int]) -> list[int]:
    """One order of several; the first of them wins ties."""
    worth = np.zeros(len(orders[0]))
    for each in orders:
        worth[list(each)] += 1 / (NEAR + np.arange(len(each)))
    return sorted(range(len(worth)), key=lambda i: (-worth[i], orders[0].index(i)))
