"""Documents are ranked in every way that a policy can name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from unabridged.compression.blocks import blocks_of
from unabridged.compression.documents import (
    DOCUMENT_RANKERS,
    by_embeddings,
    by_sentences,
    joined,
)
from unabridged.compression.encoder import HashedEncoder
from unabridged.compression.job import Job
from unabridged.compression.prompt import Segment, Where
from unabridged.compression.rank import order
from unabridged.policies.policy import Policy, Rank

TEXTS = [
    "The quarry was opened late. Nobody went there.",
    "The tide book was kept by Alder. He wrote it at dawn.",
    "Tea is a hot drink. It is drunk at noon.",
]


def work(**parts: object) -> Job:
    segments = tuple(
        Segment(kind="document", text=text, where=Where(path=(), start=0)) for text in TEXTS
    )
    job = Job(
        segments=segments,
        question="Who kept the tide book?",
        tokens=5,
        count=lambda text: len(text.split()),
        policy=Policy(),
    )
    return replace(job, **parts)  # type: ignore[arg-type]


class Words:
    """A Reranker by shared words, which remembers what it was given."""

    revision = "words"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def scores(
        self, question: str, passages: Sequence[str], checkpoint: Callable[[], None] = lambda: None
    ) -> np.ndarray:
        checkpoint()
        self.seen += passages
        wanted = set(question.casefold().split())
        return np.array([len(wanted & set(p.casefold().split())) for p in passages], dtype=float)


@pytest.mark.parametrize("name", list(DOCUMENT_RANKERS))
def test_the_document_that_answers_comes_first(name: Rank) -> None:
    job = work(encoder=HashedEncoder, reranker=Words)
    blocks = blocks_of(job)
    assert order(DOCUMENT_RANKERS[name](job, blocks))[0] == 1


def test_sentences_rank_documents_by_their_best_one() -> None:
    job = work(encoder=HashedEncoder)
    blocks = blocks_of(job)
    assert order(by_sentences(job, blocks))[0] == 1
    assert order(by_sentences(replace(job, encoder=lambda: None), blocks))[0] == 1


def test_without_an_encoder_words_decide() -> None:
    job = work()
    blocks = blocks_of(job)
    assert order(by_embeddings(job, blocks))[0] == 1


def test_two_orders_are_joined_so_that_first_places_count_most() -> None:
    assert joined([0, 1, 2, 3], [3, 0, 1, 2])[0] == 0
    assert joined([0, 1], [1, 0]) == [0, 1]
