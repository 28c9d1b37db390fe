"""Scores that are remembered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from memory_store import MemoryStore

from unabridged.compression.cached_scorer import CachedScorer
from unabridged.compression.scorer import TokenScores


class Letters:
    """A Scorer by letters: each costs a thousandth of its code point, more behind a condition."""

    revision = "letters"

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        given = list(conditions) or [""] * len(texts)
        self.seen += zip(texts, given, strict=True)
        return [
            TokenScores(
                spans=np.array([[i, i + 1] for i in range(len(t))], dtype=np.int32).reshape(-1, 2),
                scores=np.array([ord(x) / 1000 + len(c) for x in t], dtype=np.float32),
            )
            for t, c in zip(texts, given, strict=True)
        ]


def equal(a: TokenScores, b: TokenScores) -> bool:
    return bool(np.array_equal(a.spans, b.spans) and np.array_equal(a.scores, b.scores))


def test_no_text_is_scored_twice() -> None:
    scorer = Letters()
    cached = CachedScorer(scorer, MemoryStore())
    cached.score(["tide", "moon"])
    cached.score(["moon", "sun", "sun"])
    assert scorer.seen == [("tide", ""), ("moon", ""), ("sun", "")]


@given(st.lists(st.text(max_size=8), max_size=6))
def test_a_hit_gives_what_the_miss_gave(texts: list[str]) -> None:
    cached = CachedScorer(Letters(), MemoryStore())
    first, second = cached.score(texts), cached.score(texts)
    assert len(first) == len(texts)
    assert all(map(equal, first, second))
    exact = Letters().score(texts)
    for a, b in zip(first, exact, strict=True):
        assert np.array_equal(a.spans, b.spans)
        assert np.allclose(a.scores, b.scores, rtol=1e-3)


def test_another_condition_is_another_score() -> None:
    cached = CachedScorer(Letters(), MemoryStore())
    plain, after = cached.score(["tide"])[0], cached.score(["tide"], ["moon"])[0]
    assert (after.scores > plain.scores).all()


def test_the_store_learns_no_text_and_its_keys_need_the_secret() -> None:
    one, other = MemoryStore(), MemoryStore()
    CachedScorer(Letters(), one, secret=b"a").score(["codeword"])
    CachedScorer(Letters(), other, secret=b"b").score(["codeword"])
    assert one.values.keys().isdisjoint(other.values.keys())
    assert b"codeword" not in b"".join([*one.values.values(), *map(str.encode, one.values)])


def test_what_is_not_ours_is_scored_again() -> None:
    shelf, scorer = MemoryStore(), Letters()
    cached = CachedScorer(scorer, shelf)
    cached.score(["tide"])
    shelf.values = dict.fromkeys(shelf.values, b"abc")
    assert len(cached.score(["tide"])[0].scores) == 4
    assert len(scorer.seen) == 2
