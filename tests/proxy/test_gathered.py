"""Calls of one tick are one batch, and each gets its own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from unabridged.proxy.gathered import MOST, Gathered


class Doubling:
    """Answers when it is let; notes what it was sent."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()

    async def __call__(self, numbers: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(numbers))
        await self.open.wait()
        if -13 in numbers:
            raise ValueError("thirteen")
        return [2 * number for number in numbers]


def test_what_comes_while_a_batch_is_under_way_makes_the_next_one() -> None:
    async def told() -> None:
        doubling = Doubling()
        double = Gathered(doubling)
        first = asyncio.ensure_future(double(1))
        await asyncio.sleep(0.01)
        rest = [asyncio.ensure_future(double(n)) for n in range(2, MOST + 5)]
        await asyncio.sleep(0.01)
        assert doubling.batches == [[1]]
        doubling.open.set()
        assert await first == 2
        assert await asyncio.gather(*rest) == [2 * n for n in range(2, MOST + 5)]
        assert [len(batch) for batch in doubling.batches] == [1, MOST, 3]
        assert await double(7) == 14

    asyncio.run(told())


def test_a_failure_is_everybodys_of_its_batch_and_nobody_elses() -> None:
    async def told() -> None:
        doubling = Doubling()
        double = Gathered(doubling)
        first = asyncio.ensure_future(double(1))
        await asyncio.sleep(0)
        bad = [asyncio.ensure_future(double(n)) for n in (12, -13)]
        doubling.open.set()
        assert await first == 2
        for one in bad:
            with pytest.raises(ValueError, match="thirteen"):
                await one
        assert await double(14) == 28

    asyncio.run(told())


def test_who_stops_waiting_leaves_the_others_their_outcomes() -> None:
    async def told() -> None:
        doubling = Doubling()
        double = Gathered(doubling)
        patient = asyncio.ensure_future(double(4))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await double(3)
        doubling.open.set()
        assert await patient == 8

    asyncio.run(told())
