"""What requests came to is charged behind their backs: soon, many at once, in order and once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ledger_world import ALICE, CENT, NOW, ORG, World, cost, hold, levels, sql_sum

from unabridged.proxy.ledger import Ledger, LedgerDown, Level, MemoryLedger, Settled, counters
from unabridged.proxy.settler import (
    BATCH,
    CLOSING_SECONDS,
    GATHER_SECONDS,
    MOST_WAITING,
    Settler,
)
from unabridged.proxy.spool import Spool


@dataclass
class Slow(MemoryLedger):
    """A ledger that answers when it is let, and may be down."""

    down: bool = False

    def __post_init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.batches: list[int] = []

    async def settle_many(self, settled: Sequence[Settled]) -> tuple[Level, ...]:
        self.batches.append(len(settled))
        await self.open.wait()
        if self.down:
            raise LedgerDown("down")
        return await super().settle_many(settled)


class Unheard:
    """A ledger whose answers to what was settled are lost."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def settle_many(self, settled: Sequence[Settled]) -> tuple[Level, ...]:
        await self._ledger.settle_many(settled)
        raise LedgerDown("no answer")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


class Counted(Spool):
    """A spool that counts its writes."""

    writes = 0

    def _write(self, settled: Sequence[Settled]) -> None:
        self.writes += bool(settled)
        super()._write(settled)


def free(number: int, org: str = "acme") -> Settled:
    """Of a request that no budget counts."""
    held = hold([], 5, scopes=replace(ALICE, org=org), id=f"{org}-{number}")
    return held, cost(held, number)


def counted(number: int) -> Settled:
    held = hold([ORG], 5, id=f"counted-{number}")
    return held, cost(held, number)


async def turn() -> None:
    """Whatever can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_comes_while_a_batch_is_under_way_makes_the_next_in_its_order(tmp_path: Path) -> None:
    async def told() -> None:
        ledger = Slow()
        settler = Settler(ledger, Spool(tmp_path))
        ledger.open.clear()
        sent = [counted(n) for n in range(2 * BATCH + 10)]
        for number, one in enumerate(sent):
            await settler.add(*one)
            if number == 0:
                await turn()
        await turn()
        assert ledger.batches == [1]
        assert not settler.idle
        ledger.open.set()
        await settler.settled()
        assert ledger.batches == [1, BATCH, BATCH, 9]
        assert ledger.entries == [entry for _, entry in sent]
        assert settler.idle

    asyncio.run(told())


def test_what_frees_a_reservation_goes_at_once_and_takes_along_what_waits(tmp_path: Path) -> None:
    async def told() -> None:
        ledger = Slow()
        settler = Settler(ledger, Spool(tmp_path))
        for number in range(3):
            await settler.add(*free(number))
        await turn()
        assert ledger.batches == []
        await settler.add(*counted(3))
        await turn()
        assert ledger.batches == [4]
        await settler.add(*free(4))
        await asyncio.sleep(10 * GATHER_SECONDS)
        assert ledger.batches == [4, 1]

    asyncio.run(told())


def test_what_the_ledger_does_not_take_is_spooled_in_one_write_and_charged_when_it_does(
    tmp_path: Path,
) -> None:
    async def told() -> None:
        ledger, spool = Slow(), Counted(tmp_path)
        settler = Settler(ledger, spool)
        ledger.down = True
        sent = [*(free(n) for n in range(40)), *(free(n, "other") for n in range(40))]
        for one in sent:
            await settler.add(*one)
        await settler.settled()
        assert (len(spool), spool.writes, ledger.entries) == (80, 1, [])
        with pytest.raises(LedgerDown):
            await settler.again()
        ledger.down = False
        await settler.again()
        assert len(spool) == 0
        assert ledger.entries == [entry for _, entry in sent]

    asyncio.run(told())


def test_a_ledger_that_breaks_loses_nothing(tmp_path: Path) -> None:
    """Not only what it says it cannot take."""

    class Broken(MemoryLedger):
        async def settle_many(self, settled: Sequence[Settled]) -> tuple[Level, ...]:
            raise ValueError("a bug")

    async def told() -> None:
        spool = Spool(tmp_path)
        settler = Settler(Broken(), spool)
        for number in range(3):
            await settler.add(*counted(number))
            await settler.settled()
        assert [entry.nano_usd for _, entry in spool.take()] == [0, 1, 2]

    asyncio.run(told())


def test_a_store_that_is_too_slow_does_not_fill_the_memory(tmp_path: Path) -> None:
    async def told() -> None:
        ledger, spool = Slow(), Counted(tmp_path)
        settler = Settler(ledger, spool)
        ledger.open.clear()
        await settler.add(*counted(0))
        await turn()
        for number in range(1, MOST_WAITING + 3):
            await settler.add(*counted(number))
        assert (len(spool), spool.writes) == (MOST_WAITING + 1, 1)
        ledger.open.set()
        await settler.settled()
        await settler.again()
        assert sorted(entry.nano_usd or 0 for entry in ledger.entries) == [*range(MOST_WAITING + 3)]

    asyncio.run(told())


def test_at_the_end_all_is_charged(tmp_path: Path) -> None:
    async def told() -> None:
        ledger, spool = Slow(), Spool(tmp_path)
        settler = Settler(ledger, spool)
        for number in range(3 * BATCH):
            await settler.add(*free(number))
        await settler.close()
        assert (len(ledger.entries), len(spool)) == (3 * BATCH, 0)

    asyncio.run(told())


def test_at_the_end_of_a_store_that_hangs_all_is_on_disk(tmp_path: Path) -> None:
    async def told() -> None:
        ledger, spool = Slow(), Spool(tmp_path)
        settler = Settler(ledger, spool)
        ledger.open.clear()
        for number in range(BATCH + 50):
            await settler.add(*counted(number))
        async with asyncio.timeout(CLOSING_SECONDS + 3):
            await settler.close()
        spool.close()
        left = Spool(tmp_path).take()
        assert [entry.nano_usd for _, entry in left] == [*range(BATCH + 50)]

    asyncio.run(told())


def test_what_was_charged_although_nobody_heard_of_it_is_charged_once(
    run: Any, tmp_path: Path
) -> None:
    """The store did it and the answer was lost: the same batch comes again from the spool."""

    async def told(ours: World) -> None:
        spool = Spool(tmp_path / "spool")
        settler = Settler(Unheard(ours.ledger), spool)
        held = [hold([ORG], 2 * CENT) for _ in range(20)]
        for one in held:
            await ours.ledger.reserve(one)
        for one in held:
            await settler.add(one, cost(one, CENT))
        await settler.settled()
        assert len(spool) == 20
        await Settler(ours.ledger, spool).again()
        assert await levels(ours, [ORG]) == [(20 * CENT, 0)]
        await ours.journal.round()
        assert await sql_sum(ours) == (20, 20 * CENT)

    run(told)


def test_what_is_not_charged_yet_is_counted_as_it_was_reserved(run: Any, tmp_path: Path) -> None:
    async def told(ours: World) -> None:
        known: list[Level] = []
        settler = Settler(ours.ledger, Spool(tmp_path / "spool"), learn=known.extend)
        held = hold([ORG], 90 * CENT)
        await ours.ledger.reserve(held)
        await settler.add(held, cost(held, CENT))
        assert await levels(ours, [ORG]) in ([(0, 90 * CENT)], [(CENT, 0)])
        await settler.settled()
        assert await levels(ours, [ORG]) == [(CENT, 0)]
        (counter,) = counters([ORG], ALICE, NOW)
        assert known == [Level(counter=counter, used=CENT, reserved=0)]

    run(told)
