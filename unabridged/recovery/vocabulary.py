"""The words of all the originals of a request, and which stand next to each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from unabridged.recovery.words import WORD, script

_ASCII_WORD = re.compile(r"[A-Za-z0-9]+")
MOST_OFTEN = 3
"""Occurrences up to which a word is telling."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How often each word and each pair of neighbouring words occurs."""

    counts: Counter[str]
    pairs: Counter[tuple[str, str]]
    folded: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Vocabulary:
        """The vocabulary of several texts."""
        counts: Counter[str] = Counter()
        pairs: Counter[tuple[str, str]] = Counter()
        for text in texts:
            words = words_of(text)
            counts.update(words)
            pairs.update(pairwise(words))
        return cls(counts, pairs, frozenset(map(str.casefold, counts)))

    def has(self, word: str) -> bool:
        """True if this is a whole word of some original, in any case."""
        return word in self.counts or word.casefold() in self.folded

    def telling(self, word: str) -> bool:
        """True if a word is rare enough to show where a response copied."""
        enough = 4 if script(word[0]) == "a" else 2
        return len(word) >= enough and self.counts[word] <= MOST_OFTEN

    def at_most(self, words: list[str]) -> int:
        """How often these words can stand next to each other, at most."""
        if len(words) == 1:
            return self.counts[words[0]]
        return min(self.pairs[pair] for pair in pairwise(words))


def words_of(text: str) -> list[str]:
    """The words of a text in order."""
    return _ASCII_WORD.findall(text) if text.isascii() else WORD.findall(text)
