"""What is not remembered is computed, and what many need at once is computed once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_store import MemoryStore

from unabridged.compression.once import Unreadable, once


def lengths(store: MemoryStore, words: list[str], asked: list[str]) -> list[int]:
    def compute(missing: list[int]) -> list[bytes]:
        asked.extend(words[i] for i in missing)
        return [b"%d" % len(words[i]) for i in missing]

    return once(store, words, compute, lambda _, v: int(v) if v.isdigit() else None, seconds=9)


@given(st.lists(st.text(max_size=4)), st.lists(st.text(max_size=4)))
def test_nothing_is_computed_twice(some: list[str], more: list[str]) -> None:
    store, asked = MemoryStore(), []
    assert lengths(store, some, asked) == [len(word) for word in some]
    assert lengths(store, more, asked) == [len(word) for word in more]
    assert sorted(asked) == sorted({*some, *more})


def test_a_damaged_value_is_computed_again() -> None:
    store, asked = MemoryStore(), []
    store.values["tide"] = b"?"
    assert lengths(store, ["tide"], asked) == [4]
    assert asked == ["tide"]
    assert store.values["tide"] == b"4"


class Elsewhere(MemoryStore):
    """Another process computes `other`, and has it, or gives it up, at the third look."""

    def __init__(self, outcome: bytes | None) -> None:
        super().__init__()
        self.outcome = outcome
        self.looks = 0
        self.given_up: list[str] = []

    def take(self, keys):  # type: ignore[no-untyped-def]
        told = super().take(keys)
        if "other" in keys:
            self.looks += 1
            told[list(keys).index("other")] = "other" if self.looks < 3 else self.outcome or "mine"
        return told

    def pause(self) -> None:
        pass

    def give_up(self, keys):  # type: ignore[no-untyped-def]
        self.given_up += keys


def test_what_another_computes_is_waited_for_behind_ones_own() -> None:
    asked: list[str] = []
    assert lengths(Elsewhere(b"7"), ["other", "own"], asked) == [7, 3]
    assert asked == ["own"]


def test_what_another_gave_up_is_computed_here() -> None:
    asked: list[str] = []
    assert lengths(Elsewhere(None), ["other", "own"], asked) == [5, 3]
    assert asked == ["own", "other"]


def test_a_failure_is_told_to_whoever_waits() -> None:
    store = Elsewhere(b"7")

    def fail(_: list[int]) -> list[bytes]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        once(store, ["own"], fail, lambda _, v: v, seconds=9)
    assert store.given_up == ["own"]


def test_waiting_ends_when_nobody_wants_the_result() -> None:
    def gone() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        once(Elsewhere(b"7"), ["other"], lambda _: [], lambda _, v: v, seconds=9, checkpoint=gone)


def test_what_cannot_be_read_back_is_an_error_and_no_endless_loop() -> None:
    with pytest.raises(Unreadable):
        once(MemoryStore(), ["a"], lambda _: [b"x"], lambda _, v: None, seconds=9)
