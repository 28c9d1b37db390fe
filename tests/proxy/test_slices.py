"""A slice is reserved like any request, so what is spent from it stays within the budget."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from ledger_world import ALICE, NOW, hold

from unabridged.policies.budget import Budget
from unabridged.proxy.ledger import MemoryLedger, Refused, counters
from unabridged.proxy.slices import Slices

LEASED = Budget(name="b", window="hour", limit=Decimal(1), store_down="lease", slice_share=0.1)
(COUNTER,) = counters([LEASED], ALICE, NOW)
TENTH = 10**8


def test_a_slice_is_set_aside_in_the_store_and_spent_to_its_end() -> None:
    async def told() -> None:
        ledger = MemoryLedger()
        slices = Slices(ledger)
        slices.want([COUNTER])
        assert not slices.take(COUNTER, 1)
        await slices.refill(NOW)
        assert (await ledger.read([COUNTER]))[0].reserved == TENTH
        assert slices.take(COUNTER, TENTH - 1)
        assert not slices.take(COUNTER, 2)
        assert slices.take(COUNTER, 1)

    asyncio.run(told())


def test_all_slices_together_stay_within_the_budget() -> None:
    """The bound: without a store no more is spent than was set aside with it."""

    async def told() -> None:
        ledger = MemoryLedger()
        await ledger.reserve(hold([LEASED], 75 * 10**7))
        instances = [Slices(ledger) for _ in range(5)]
        for slices in instances:
            slices.want([COUNTER])
            await slices.refill(NOW)
        granted = sum(slices.take(COUNTER, TENTH) for slices in instances)
        assert granted == 2
        level = (await ledger.read([COUNTER]))[0]
        assert level.used <= LEASED.amount
        assert isinstance(await ledger.reserve(hold([LEASED], TENTH)), Refused)

    asyncio.run(told())


def test_a_slice_that_was_spent_from_is_given_back_and_set_aside_anew() -> None:
    async def told() -> None:
        ledger = MemoryLedger()
        slices = Slices(ledger)
        slices.want([COUNTER])
        await slices.refill(NOW)
        assert slices.take(COUNTER, TENTH)
        await slices.refill(NOW)
        assert (await ledger.read([COUNTER]))[0].reserved == TENTH
        assert slices.take(COUNTER, TENTH)

    asyncio.run(told())


def test_a_slice_ends_with_its_window_and_with_its_process() -> None:
    async def told() -> None:
        ledger = MemoryLedger()
        slices = Slices(ledger)
        slices.want([COUNTER])
        await slices.refill(NOW)
        await slices.refill(NOW + 3_600_000)
        assert (await ledger.read([COUNTER]))[0].reserved == 0
        slices.want([COUNTER])
        await slices.refill(NOW)
        await slices.release()
        assert (await ledger.read([COUNTER]))[0].reserved == 0

    asyncio.run(told())


def test_budgets_that_do_not_ask_for_slices_have_none() -> None:
    async def told() -> None:
        ledger = MemoryLedger()
        slices = Slices(ledger)
        (closed,) = counters([LEASED.model_copy(update={"store_down": "closed"})], ALICE, NOW)
        slices.want([closed])
        await slices.refill(NOW)
        assert (await ledger.read([closed]))[0].used == 0

    asyncio.run(told())
