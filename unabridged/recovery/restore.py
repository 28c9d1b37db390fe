"""Gives a text the wording of the original back where compression had cut inside it."""

from __future__ import annotations

from dataclasses import dataclass

from unabridged.recovery.index import Index
from unabridged.recovery.text_stream import Piece, TextRestorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A response in the original's words."""

    text: str
    edits: tuple[Piece, ...] = ()
    """What was restored, in order."""
    refusals: tuple[Piece, ...] = ()
    """What looked shortened but was left alone, in order; at most 100."""


def restore(text: str, index: Index) -> Recovered:
    """Restore one text (subsequence recovery, LongLLMLingua section 4.4, on the kept spans).

    Everything outside the edits is as it was. Linear in the length of the text.
    """
    restorer = TextRestorer(index)
    restored = restorer.feed(text) + restorer.flush()
    return Recovered(text=restored, edits=tuple(restorer.edits), refusals=tuple(restorer.refusals))
