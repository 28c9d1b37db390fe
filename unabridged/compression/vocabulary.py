"""The words of all the originals of a request, and which stand next to each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from itertools import chain, pairwise

from unabridged.compression.words import script, words_of

MOST_OFTEN = 3
"""Occurrences up to which a word is telling."""


class Vocabulary:
    """How often each word occurs, and which ones stand side by side; counted when asked."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = [words_of(text) for text in texts]

    @cached_property
    def counts(self) -> Counter[str]:
        """Occurrences of each word."""
        return Counter(chain.from_iterable(self._texts))

    @cached_property
    def _folded(self) -> frozenset[str]:
        return frozenset(map(str.casefold, self.counts))

    @cached_property
    def _pairs(self) -> frozenset[tuple[str, str]]:
        return frozenset(chain.from_iterable(map(pairwise, self._texts)))

    def has(self, word: str) -> bool:
        """True if this is a whole word of some original, in any case."""
        return word in self.counts or word.casefold() in self._folded

    def telling(self, word: str) -> bool:
        """True if a word is rare enough to show where a response copied."""
        enough = 4 if script(word[0]) == "a" else 2
        return len(word) >= enough and self.counts[word] <= MOST_OFTEN

    def holds(self, words: list[str]) -> bool:
        """False if these words stand next to each other in no text."""
        if len(words) == 1:
            return words[0] in self.counts
        return all(pair in self._pairs for pair in pairwise(words))
