"""The kept spans of one text, and the questions that recovery asks about them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from unabridged.compression.prompt import Span
from unabridged.compression.words import pattern


class Cuts:
    """A text with its kept spans, which are sorted, disjoint and not empty."""

    def __init__(self, text: str, kept: Sequence[Span]) -> None:
        self.text = text
        self.words = pattern(text)
        """What finds the words of the text."""
        self.starts = [start for start, _ in kept]
        self.ends = [end for _, end in kept]
        self.edges = sorted({*self.starts, *self.ends} - {0, len(text)})
        """Where something was cut, in order."""
        pieces = [text[start:end] for start, end in kept]
        self.shown = "".join(pieces)
        """The compressed text."""
        self._offsets: list[int] = []
        at = 0
        for piece in pieces:
            self._offsets.append(at)
            at += len(piece)

    def within(self, start: int, end: int) -> list[Span]:
        """The kept pieces of a stretch."""
        found = []
        for i in range(bisect_right(self.ends, start), len(self.starts)):
            if self.starts[i] >= end:
                break
            found.append((max(start, self.starts[i]), min(end, self.ends[i])))
        return found

    def place(self, offset: int) -> int:
        """Where a kept character of the text stands in the compressed text."""
        i = bisect_right(self.starts, offset) - 1
        return self._offsets[i] + offset - self.starts[i]

    def covers(self, start: int, end: int) -> bool:
        """True if a stretch is kept whole."""
        i = bisect_right(self.starts, start) - 1
        return i >= 0 and self.ends[i] >= end

    def touched(self, start: int, end: int) -> bool:
        """True if a kept span begins or ends strictly inside a stretch."""
        i = bisect_right(self.edges, start)
        return i < len(self.edges) and self.edges[i] < end
