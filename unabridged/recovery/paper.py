"""Subsequence recovery as LongLLMLingua publishes it (section 4.4, Algorithm 1)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import regex

from unabridged.compression.prompt import Span
from unabridged.compression.words import WORD
from unabridged.recovery.restore import Recovered
from unabridged.recovery.text_stream import Piece

_TOKEN = regex.compile(rf"{WORD.pattern}|[^\s\p{{L}}\p{{N}}\p{{M}}]")
_MOST_SKIPPED = 64
"""Tokens of the original between two of a span, at most. The paper sets no limit; without one
the shortest window of a frequent word can take the whole prompt."""


def algorithm_1(original: str, compressed: str, response: str) -> Recovered:
    """Each longest span of the response that stands in the compressed text becomes the shortest
    stretch of the original that holds its tokens in order.

    Words and punctuation marks play the paper's tokens; a word of the compressed text that the
    original does not have stands for those that begin with it.
    """
    source = _Tokens(original)
    shown = _Tokens(compressed)
    answer = [found.span() for found in _TOKEN.finditer(response)]
    out: list[str] = []
    edits: list[Piece] = []
    at = left = 0
    while left < len(answer):
        count = shown.longest([response[a:b] for a, b in answer[left : left + 400]])
        window = source.window([response[a:b] for a, b in answer[left : left + count]])
        if window is None:
            left += max(1, count)
            continue
        start, end = answer[left][0], answer[left + count - 1][1]
        was, now = response[start:end], original[window[0] : window[1]]
        out.extend((response[at:start], now))
        if now != was:
            edits.append(
                Piece(start=start, end=end, was=was, now=now, source=(0, window), why="Algorithm 1")
            )
        at, left = end, left + count
    return Recovered(text="".join([*out, response[at:]]), edits=tuple(edits))


class _Tokens:
    """The tokens of a text and where each kind of them stands."""

    def __init__(self, text: str) -> None:
        self.spans: list[Span] = [found.span() for found in _TOKEN.finditer(text)]
        self.words = [text[a:b] for a, b in self.spans]
        self.places: dict[str, list[int]] = {}
        for n, word in enumerate(self.words):
            self.places.setdefault(word, []).append(n)
        self.sorted = sorted(self.places)

    def longest(self, span: Sequence[str]) -> int:
        """How many tokens from the start of `span` stand next to each other in this text."""
        if not span:
            return 0
        spots, count = self.places.get(span[0], []), 1 if span[0] in self.places else 0
        while spots and count < len(span):
            spots = [
                n
                for n in spots
                if n + count < len(self.words) and self.words[n + count] == span[count]
            ]
            count += bool(spots)
        return count

    def window(self, span: Sequence[str]) -> Span | None:
        """The shortest stretch of the text that holds the tokens of `span` in order; of windows
        that hold fewer of them, one that holds the most."""
        lists = [self._spots(word) for word in span]
        if not lists:
            return None
        best: tuple[int, int] | None = None
        stretch = 0, 0
        for first in lists[0]:
            last, common = first, 1
            for spots in lists[1:]:
                i = bisect_left(spots, last + 1)
                if i < len(spots) and spots[i] - last <= _MOST_SKIPPED:
                    last, common = spots[i], common + 1
            rank = -common, last - first
            if best is None or rank < best:
                best, stretch = rank, (first, last)
        if best is None:
            return None
        return self.spans[stretch[0]][0], self.spans[stretch[1]][1]

    def _spots(self, word: str) -> list[int]:
        if word in self.places:
            return self.places[word]
        i = bisect_left(self.sorted, word)
        found: list[int] = []
        while i < len(self.sorted) and self.sorted[i].startswith(word):
            found.extend(self.places[self.sorted[i]])
            i += 1
        return sorted(found)
