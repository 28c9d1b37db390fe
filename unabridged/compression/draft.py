"""The pieces of a message while they are being found."""

from __future__ import annotations

from dataclasses import dataclass, field

from unabridged.compression.passages import Piece
from unabridged.policies.policy import Kind


@dataclass(slots=True)
class Draft:
    """The pieces of a message while they are being found."""

    text: str
    system: bool
    pieces: list[Piece] = field(default_factory=list)
    loose: list[int] = field(default_factory=list)
    """Indexes of the pieces that no mark has decided about."""

    def add(self, kind: Kind, start: int, end: int, why: str) -> None:
        """One more piece, unless it is empty."""
        if start < end:
            self.pieces.append(Piece(kind=kind, start=start, end=end, why=why))

    def add_loose(self, start: int, end: int) -> None:
        """One that is instruction until something else is found in it."""
        if start < end:
            self.loose.append(len(self.pieces))
            self.add("instruction", start, end, "no mark of anything else")

    def has(self, *kinds: Kind) -> bool:
        """True if there is a piece of one of these kinds."""
        return any(p.kind in kinds for p in self.pieces)
