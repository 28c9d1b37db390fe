"""Restores a response when all there is are three strings."""

from __future__ import annotations

from typing import Literal

from unabridged.compression.evidence import Known
from unabridged.recovery.index import Index
from unabridged.recovery.paper import algorithm_1
from unabridged.recovery.restore import Recovered, restore

Mode = Literal["alignment", "paper"]


def recover(
    original: str,
    compressed: str,
    response: str,
    mode: Mode = "alignment",
    known: Known | None = None,
) -> Recovered:
    """The response with the original's wording where compression had cut inside it.

    "alignment" finds out what was cut where, and restores only what that proves. "paper" is
    LongLLMLingua's Algorithm 1 as published, for comparison: it also inserts words that were
    dropped between two others. `known` as in Index.build.

    Raises ValueError for another mode.
    """
    if mode == "alignment":
        return restore(response, Index.of_texts(original, compressed, known))
    if mode == "paper":
        return algorithm_1(original, compressed, response)
    raise ValueError(f"unknown recovery mode {mode!r}; known: alignment, paper")
