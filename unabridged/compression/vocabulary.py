"""The words of all the originals of a request, and which stand next to each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from unabridged.compression.words import WORD, script

_ASCII_WORD = re.compile(r"[A-Za-z0-9]+")
MOST_OFTEN = 3
"""Occurrences up to which a word is telling."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How often each word occurs, and which ones stand side by side."""

    counts: Counter[str]
    pairs: frozenset[tuple[str, str]]
    folded: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Vocabulary:
        """The vocabulary of several texts."""
        counts: Counter[str] = Counter()
        pairs: set[tuple[str, str]] = set()
        for text in texts:
            words = words_of(text)
            counts.update(words)
            pairs.update(pairwise(words))
        return cls(counts, frozenset(pairs), frozenset(map(str.casefold, counts)))

    def has(self, word: str) -> bool:
        """True if this is a whole word of some original, in any case."""
        return word in self.counts or word.casefold() in self.folded

    def telling(self, word: str) -> bool:
        """True if a word is rare enough to show where a response copied."""
        enough = 4 if script(word[0]) == "a" else 2
        return len(word) >= enough and self.counts[word] <= MOST_OFTEN

    def holds(self, words: list[str]) -> bool:
        """False if these words stand next to each other in no text."""
        if len(words) == 1:
            return words[0] in self.counts
        return all(pair in self.pairs for pair in pairwise(words))


def words_of(text: str) -> list[str]:
    """The words of a text in order."""
    return _ASCII_WORD.findall(text) if text.isascii() else WORD.findall(text)
