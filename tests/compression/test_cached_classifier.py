"""A text is judged once; whatever is asked of it afterwards needs no model."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from judging import Judging
from memory_store import MemoryStore

from unabridged.compression.cached_classifier import CachedClassifier


def test_a_hit_gives_the_same_numbers_without_the_model() -> None:
    inner = Judging(asks=True)
    cached = CachedClassifier(inner, MemoryStore())
    for questions in ((), ["one", "two", "one"]):
        first = cached.judge(["one tide", "two", "one tide"], questions)
        again = cached.judge(["one tide", "two", "one tide"], questions)
        for a, b in zip(first, again, strict=True):
            assert (a.spans == b.spans).all() and (a.keep == b.keep).all()
            assert a.relevance == b.relevance
            assert (a.sentence is None) == (b.sentence is None) == (not questions)
    assert inner.judged == ["one tide", "two"] * 2


def test_another_question_or_other_chunks_are_other_judgements() -> None:
    inner = Judging(asks=True)
    cached = CachedClassifier(inner, MemoryStore())
    for questions, ends in ((["a"], (".",)), (["b"], (".",)), (["b"], ("\n",)), ((), ("\n",))):
        cached.judge(["x"], questions, ends=ends)
    assert len(inner.judged) == 4


def test_the_store_holds_no_text_and_strange_values_count_as_none() -> None:
    store, inner = MemoryStore(), Judging()
    cached = CachedClassifier(inner, store, secret=b"s")
    cached.judge(["lighthouse"])
    [(key, value)] = store.values.items()
    assert "lighthouse" not in key and b"lighthouse" not in value
    store.values[key] = b"abc"
    cached.judge(["lighthouse"])
    assert inner.judged == ["lighthouse"] * 2
    assert CachedClassifier(inner, store, secret=b"t").judge(["lighthouse"])
    assert len(store.values) == 2


def test_it_is_its_classifier_in_all_else() -> None:
    inner = Judging()
    cached = CachedClassifier(inner, MemoryStore())
    assert cached.revision == inner.revision
    assert not cached.asks
    assert cached.reads("a") and not cached.reads("등")
    assert cached.judge([]) == []
