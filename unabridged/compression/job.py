"""One piece of work for a compressor: segments that share a question and a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from unabridged.compression.classifier import Classifier
from unabridged.compression.encoder import Encoder
from unabridged.compression.prompt import Segment, Span
from unabridged.compression.reranker import Reranker
from unabridged.compression.scorer import Scorer
from unabridged.policies.policy import Policy

Count = Callable[[str], int]
"""Tokens of a text by the upstream model's own tokenizer; special strings count as text."""


class Cancelled(Exception):
    """The client has gone or the deadline has passed; raised between batches of work."""


def _never() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The segments of one kind in one turn, to be cut to `tokens` together."""

    segments: tuple[Segment, ...]
    question: str
    """What is asked in the turn; may be empty."""
    tokens: int
    """Budget of all the segments together, in the upstream model's tokens, heads and tails
    included."""
    count: Count
    policy: Policy
    scorer: Callable[[], Scorer] | None = None
    """Gives the causal scorer, loading it when first called; None: no model at hand."""
    encoder: Callable[[], Encoder | None] = field(default=_never)
    """Gives the sentence encoder, or None while there is none: then words alone decide."""
    classifier: Callable[[], Classifier | None] = field(default=_never)
    """Gives what judges words, or None while there is nothing that does."""
    reranker: Callable[[], Reranker | None] = field(default=_never)
    """Gives the policy's cross-encoder, or None."""
    checkpoint: Callable[[], None] = field(default=_never)
    """Call between batches of work: raises Cancelled when the result is no longer wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a compressor keeps of a job's segments."""

    kept: tuple[tuple[Span, ...], ...]
    """For each segment its kept spans: sorted, disjoint, not empty."""
    why: tuple[str, ...]
    """For each segment a reason a person can read."""
    order: tuple[int, ...] = ()
    """Indexes of the segments in the order they are to be sent; empty: as they came. Only
    documents of one string change places."""


class Compressor(Protocol):
    """A strategy: a plain function found by name in COMPRESSORS."""

    def __call__(self, job: Job) -> Cut: ...


def untouched(segments: Sequence[Segment], why: str) -> Cut:
    """Everything is kept."""
    return Cut(
        kept=tuple(((0, len(s.text)),) if s.text else () for s in segments),
        why=(why,) * len(segments),
    )
