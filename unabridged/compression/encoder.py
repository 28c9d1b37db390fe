"""What a text and each of its sentences mean, as vectors: the seam behind which encoders live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from unabridged.compression.prompt import Span

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A passage and the stretches of it that were asked for. All vectors have length 1, so that
    their dot product is their cosine."""

    whole: Vectors
    """Shape (size,)."""
    spans: Vectors
    """Shape (spans, size)."""


class Encoder(Protocol):
    """Batched and synchronous; called in a worker thread, never on the event loop."""

    @property
    def revision(self) -> str:
        """Names the weights and everything else that the vectors depend on; part of cache keys."""
        ...

    def reads(self, text: str) -> bool:
        """True if the encoder knows the language that most of the text is written in."""
        ...

    def question(self, text: str) -> Vectors:
        """The vector of what is asked, shape (size,)."""
        ...

    def passages(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> list[Encoded]:
        """The vectors of texts, and in the same pass of each stretch in `spans[i]` of text i.

        `checkpoint` is called between batches and may raise to stop the work.
        """
        ...


class HashedEncoder:
    """Needs no model: texts that share words are near each other, nothing else is.

    A stand-in where the weights are not at hand, and the simplest thing that fits the seam.
    """

    revision = "hashed-1"
    size = 256

    def reads(self, text: str) -> bool:
        return True

    def question(self, text: str) -> Vectors:
        return self._vector(text)

    def passages(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> list[Encoded]:
        checkpoint()
        return [
            Encoded(
                whole=self._vector(text),
                spans=np.array(
                    [self._vector(text[start:end]) for start, end in inside], dtype=np.float32
                ).reshape(-1, self.size),
            )
            for text, inside in zip(texts, spans, strict=True)
        ]

    def _vector(self, text: str) -> Vectors:
        vector = np.full(self.size, 1e-6, dtype=np.float32)
        for word in text.casefold().split():
            vector[crc32(word.strip(".,;:!?\"'()").encode()) % self.size] += 1
        return unit(vector)


def unit(vector: Vectors) -> Vectors:
    """The vector at length 1, in steps of half precision.

    Batches of different shapes differ in the seventh digit, and a cache stores halves: what is
    ranked must depend on neither.
    """
    length = float(np.linalg.norm(vector))
    if length < 1e-12:
        return np.zeros_like(vector)
    return (vector / length).astype(np.float16).astype(np.float32)
