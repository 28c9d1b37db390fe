"""Originals are kept for a while, in memory, for whoever brought them."""

from __future__ import annotations

from unabridged.proxy import originals
from unabridged.proxy.originals import Originals


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_kept_can_be_fetched_by_its_own_tenant_until_its_time_is_over() -> None:
    clock = Clock()
    kept = Originals(clock=clock)
    name = kept.keep("words", tenant="a", seconds=10)
    assert len(name) == 32
    assert kept.get(name, tenant="a") == "words"
    assert kept.get(name, tenant="b") is None
    assert kept.get("0" * 32, tenant="a") is None
    clock.now = 10
    assert kept.get(name, tenant="a") is None


def test_ids_do_not_follow_from_the_text() -> None:
    kept = Originals()
    assert kept.keep("x", tenant="a", seconds=9) != kept.keep("x", tenant="a", seconds=9)


def test_memory_is_bounded_and_the_oldest_go_first() -> None:
    kept = Originals()
    third = "x" * (originals.LARGEST // 3)
    names = [kept.keep(third, tenant="a", seconds=9) for _ in range(4)]
    assert [kept.get(name, tenant="a") is not None for name in names] == [False, True, True, True]
