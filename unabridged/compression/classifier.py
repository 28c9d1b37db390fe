"""Which words of a text are worth keeping: the seam behind which token classifiers live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from unabridged.compression.prompt import Span

Pool = Literal["mean", "first"]

ENDS = (".", "\n")
"""Tokens behind which a long text is divided (LLMLingua-2's chunk_end_tokens)."""


class NoClassifier(Exception):
    """There are no weights to judge words with, or not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a classifier makes of one text. All probabilities are steps of half precision, which
    is what a cache stores."""

    spans: NDArray[np.int32]
    """Shape (tokens, 2): start and end of each token in the text, in characters."""
    keep: NDArray[np.float32]
    """Shape (tokens,): probability that the token stays. 1 for characters that the model does
    not know: what it cannot judge, it does not delete."""
    sentence: NDArray[np.float32] | None = None
    """Shape (tokens,): probability that the sentence around the token answers the question;
    None if no question was read."""
    relevance: float | None = None
    """Probability that the text answers the question; None if no question was read."""


class Classifier(Protocol):
    """Batched and synchronous; called in a worker thread, never on the event loop."""

    @property
    def revision(self) -> str:
        """Names the weights and everything else that the outcome depends on; part of cache keys."""
        ...

    @property
    def asks(self) -> bool:
        """True if it reads the question together with a text."""
        ...

    def reads(self, text: str) -> bool:
        """True if it knows the language that most of the text is written in."""
        ...

    def judge(
        self,
        texts: Sequence[str],
        questions: Sequence[str] = (),
        *,
        ends: Sequence[str] = ENDS,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> list[Judged]:
        """The tokens of texts, text i in the light of `questions[i]` (none: of itself alone).

        A text too long for one pass is divided behind one of the tokens `ends`. `checkpoint` is
        called between batches and may raise to stop the work.
        """
        ...


def halves(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities in steps of half precision, so that a hit in the cache changes nothing."""
    return values.astype(np.float16).astype(np.float32)


def pooled(
    spans: NDArray[np.int32],
    values: NDArray[np.float32],
    stretches: Sequence[Sequence[Span]],
    pool: Pool = "mean",
) -> NDArray[np.float64]:
    """One value for each stretch of a text (one span or several, sorted), from the values of the
    tokens whose last character lies in it: their mean, or that of the first. A stretch without a
    token gets nan.
    """
    real = spans[:, 1] > spans[:, 0]
    ends, known = spans[real, 1], values[real].astype(np.float64)
    flat = np.array([span for each in stretches for span in each], dtype=np.int64).reshape(-1, 2)
    if not len(flat):
        return np.zeros(0)
    of = np.cumsum([0, *map(len, stretches)])[:-1]
    first = np.searchsorted(ends, flat[:, 0], side="right")
    last = np.searchsorted(ends, flat[:, 1], side="right")
    counts = np.add.reduceat(last - first, of)
    if pool == "first":
        at = np.where(last > first, first, len(known))
        leading = np.minimum.reduceat(at, of)
        return np.append(known, np.nan)[leading]
    sums = np.concatenate([[0.0], np.cumsum(known)])
    totals = np.add.reduceat(sums[last] - sums[first], of)
    found = np.full(len(stretches), np.nan)
    np.divide(totals, counts, out=found, where=counts > 0)
    return found
