"""What was read once is not read again, and a hit changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from memory_store import MemoryStore

from unabridged.compression.cached_encoder import CachedEncoder
from unabridged.compression.encoder import Encoded, HashedEncoder
from unabridged.compression.prompt import Span


class Counting(HashedEncoder):
    def __init__(self, revision: str = "1") -> None:
        self.revision = revision
        self.read: list[str] = []

    def passages(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> list[Encoded]:
        self.read += texts
        return super().passages(texts, spans, checkpoint)


TEXTS = ["Cats sleep. Dogs bark.", "The bridge opened.", ""]
SPANS: list[list[Span]] = [[(0, 11), (11, 22)], [], []]


def test_a_hit_gives_the_vectors_that_were_computed_in_any_order():
    inner = Counting()
    cached = CachedEncoder(inner, MemoryStore())
    fresh = cached.passages(TEXTS, SPANS)
    again = cached.passages([*TEXTS[::-1], "New."], [*SPANS[::-1], []])
    assert inner.read == [*TEXTS, "New."]
    for a, b in zip(fresh[::-1], again, strict=False):
        assert np.array_equal(a.whole, b.whole)
        assert np.array_equal(a.spans, b.spans)
    assert cached.passages([], []) == []


def test_other_weights_and_other_stretches_are_other_entries():
    shelf = MemoryStore()
    CachedEncoder(Counting("1"), shelf).passages(TEXTS, SPANS)
    other = Counting("2")
    CachedEncoder(other, shelf).passages(TEXTS, SPANS)
    same = Counting("1")
    CachedEncoder(same, shelf).passages(TEXTS[:1], [[(0, 22)]])
    assert other.read == TEXTS
    assert same.read == TEXTS[:1]


def test_a_damaged_entry_is_read_again_and_no_text_is_stored():
    shelf, inner = MemoryStore(), Counting()
    cached = CachedEncoder(inner, shelf)
    cached.passages(TEXTS[:1], SPANS[:1])
    assert all(b"Cats" not in v and "Cats" not in k for k, v in shelf.values.items())
    shelf.values = dict.fromkeys(shelf.values, b"\x00\x00")
    [found] = cached.passages(TEXTS[:1], SPANS[:1])
    assert found.spans.shape == (2, inner.size)
    assert inner.read == TEXTS[:1] * 2


def test_questions_scripts_and_the_name_of_the_weights_come_from_the_encoder():
    inner = Counting("7")
    cached = CachedEncoder(inner, MemoryStore())
    assert cached.revision == "7"
    assert cached.reads("다리")
    assert np.array_equal(cached.question("cats"), inner.question("cats"))
