"""One request's money, from the steps in force to the line in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ledger_world import ALICE, NOW

from unabridged.policies.budget import Budget
from unabridged.policies.budget import Price as Override
from unabridged.policies.config import Money
from unabridged.proxy.budget_book import BudgetBook
from unabridged.proxy.database import open_database
from unabridged.proxy.estimate import Wanted
from unabridged.proxy.ledger import (
    Counter,
    Entry,
    Hold,
    LedgerDown,
    Level,
    MemoryLedger,
    Refused,
    Reserved,
    counters,
)
from unabridged.proxy.price import Prices, load_prices
from unabridged.proxy.refusal import BudgetExceeded, MoneyDown, Unpriced
from unabridged.proxy.spool import Spool
from unabridged.proxy.till import Charge, Outcome, Till
from unabridged.proxy.usage import Used

CENT = 10_000_000
WANTED = Wanted(input_tokens=1000, max_output=1000)  # one cent at OWN's prices
OWN = Override(input=Decimal(2), output=Decimal(8))


class Breakable(MemoryLedger):
    """A ledger that can be made to fail, as one behind a store that is down."""

    down = False

    async def reserve(self, hold: Hold) -> Reserved | Refused:
        self._check()
        return await super().reserve(hold)

    async def settle(self, hold: Hold, entry: Entry) -> tuple[Level, ...]:
        self._check()
        return await super().settle(hold, entry)

    async def release(self, hold: Hold) -> None:
        self._check()
        await super().release(hold)

    async def read(self, counters: Sequence[Counter]) -> tuple[Level, ...]:
        self._check()
        return await super().read(counters)

    def _check(self) -> None:
        if self.down:
            raise LedgerDown("down")


@pytest.fixture(scope="module")
def prices() -> Prices:
    return load_prices({"own": OWN, "free": Override(input=Decimal(0), output=Decimal(0))})


def till(
    tmp_path: Path,
    prices: Prices,
    *budgets: Budget,
    ledger: MemoryLedger | None = None,
    **settings: Any,
) -> Till:
    book = BudgetBook(budgets, open_database(f"sqlite:///{tmp_path}/l.db"))
    return Till(
        ledger=ledger or Breakable(),
        book=book,
        prices=prices,
        spool=Spool(tmp_path / "spool"),
        settings=Money(**settings),
        clock=lambda: NOW / 1000,
    )


def budget(**fields: Any) -> Budget:
    return Budget(**{"name": "b", "window": "total", "limit": Decimal("0.05"), **fields})


async def reserve(ours: Till, model: str = "own", wanted: Wanted = WANTED, **who: Any) -> Charge:
    admission = await ours.admit(replace(ALICE, **who))
    return await ours.reserve(admission, wanted, model=model, upstream_url="")


def outcome(input: int = 1000, output: int = 1000, **more: Any) -> Outcome:
    return Outcome(used=Used(input=input, output=output), **{"basis": "measured", **more})


async def settled(ours: Till, charge: Charge, came: Outcome) -> Entry:
    """The entry of a request, when it is charged or spooled."""
    entry = await ours.settle(charge, came)
    await ours.settled()
    return entry


async def level(ours: Till, of: Budget) -> Level:
    return (await ours.ledger.read(counters([of], ALICE, NOW)))[0]


def test_the_most_it_can_cost_is_reserved_and_what_it_came_to_is_charged(
    tmp_path: Path, prices: Prices
) -> None:
    async def told() -> None:
        ours = till(tmp_path, prices, budget())
        charge = await reserve(ours)
        assert (await level(ours, budget())).reserved == CENT
        entry = await settled(
            ours, charge, outcome(output=500, tokens_before=3000, tokens_after=900)
        )
        assert (entry.nano_usd, entry.basis) == (6_000_000, "measured")
        assert (entry.estimated_nano_usd, entry.reserved_nano_usd) == (CENT, CENT)
        assert entry.price_version == prices.version
        assert entry.saved_nano_usd == 2100 * 2000
        found = await level(ours, budget())
        assert (found.spent, found.reserved) == (6_000_000, 0)

    asyncio.run(told())


def test_a_budget_without_room_stops_the_request_before_it_is_sent(
    tmp_path: Path, prices: Prices
) -> None:
    async def told() -> None:
        ours = till(tmp_path, prices, budget())
        for _ in range(5):
            await settled(ours, await reserve(ours), outcome())
        with pytest.raises(BudgetExceeded) as caught:
            await reserve(ours)
        assert caught.value.metadata["spent"] == 5 * CENT
        assert caught.value.retry_seconds is None

    asyncio.run(told())


def test_of_several_full_budgets_the_one_that_frees_last_is_told(
    tmp_path: Path, prices: Prices
) -> None:
    day = budget(name="day", window="day", limit=Decimal(0))
    month = budget(name="month", window="month", limit=Decimal(0))

    async def told() -> None:
        with pytest.raises(BudgetExceeded, match="'month'"):
            await reserve(till(tmp_path, prices, month, day))

    asyncio.run(told())


def test_steps_come_into_force_one_after_the_other(tmp_path: Path, prices: Prices) -> None:
    graduated = budget(
        at={"40%": "warn", "60%": {"rate": 0.4}, "80%": {"rate": 0.2}, "100%": "refuse"}
    )

    async def told() -> None:
        ours = till(tmp_path, prices, graduated)
        seen = []
        for _ in range(5):
            seen.append([str(step) for step in (await ours.admit(ALICE)).steps])
            charge = await reserve(ours)
            entry = await settled(ours, charge, outcome())
        assert seen == [[], [], ["b 40%"], ["b 60%"], ["b 80%"]]
        assert entry.step == "b 80%"
        assert [str(step) for step in (await ours.admit(ALICE)).steps] == ["b 80%"]
        with pytest.raises(BudgetExceeded):
            await reserve(ours)

    asyncio.run(told())


def test_the_strongest_step_of_several_budgets_stands_last(tmp_path: Path, prices: Prices) -> None:
    first = budget(name="z", at={"10%": {"rate": 0.2}})
    second = budget(name="a", at={"20%": {"rate": 0.4}})

    async def told() -> None:
        ours = till(tmp_path, prices, second, first)
        await settled(ours, await reserve(ours), outcome())
        assert [str(step) for step in (await ours.admit(ALICE)).steps] == ["z 10%", "a 20%"]

    asyncio.run(told())


def test_a_request_is_judged_by_the_budgets_it_was_admitted_with(
    tmp_path: Path, prices: Prices
) -> None:
    async def told() -> None:
        ours = till(tmp_path, prices, budget())
        admission = await ours.admit(ALICE)
        ours.book.set(budget(limit=Decimal(0)), now_ms=1)
        charge = await ours.reserve(admission, WANTED, model="own", upstream_url="")
        assert charge.in_store
        with pytest.raises(BudgetExceeded):
            await reserve(ours)

    asyncio.run(told())


def test_an_unknown_price_is_refused_unless_the_budget_says_otherwise(
    tmp_path: Path, prices: Prices
) -> None:
    """LiteLLM PR #24949, #25874, PR #30715: unknown was $0 and the budget skipped."""

    async def told() -> None:
        with pytest.raises(Unpriced, match=r"money\.prices"):
            await reserve(till(tmp_path / "a", prices, budget()), "nobody-knows")
        ours = till(tmp_path / "b", prices, budget(unknown_price="allow"))
        entry = await settled(ours, await reserve(ours, "nobody-knows"), outcome())
        assert (entry.nano_usd, entry.basis) == (None, "unpriced")
        worst = budget(unknown_price="worst", limit=Decimal(100_000))
        ours = till(tmp_path / "c", prices, worst)
        charge = await reserve(ours, "nobody-knows")
        reserved = (await level(ours, worst)).reserved
        entry = await settled(ours, charge, outcome())
        assert entry.nano_usd is not None
        assert CENT < entry.nano_usd <= reserved
        assert (await level(ours, worst)).spent == entry.nano_usd

    asyncio.run(told())


def test_budgets_of_tokens_and_requests_need_no_price(tmp_path: Path, prices: Prices) -> None:
    tokens = budget(name="t", unit="tokens", limit=Decimal(10_000))
    requests = budget(name="r", unit="requests", limit=Decimal(3))

    async def told() -> None:
        ours = till(tmp_path, prices, tokens, requests)
        charge = await reserve(ours, "nobody-knows")
        assert (await level(ours, tokens)).reserved == 2000
        await settled(ours, charge, outcome(output=7))
        assert (await level(ours, tokens)).spent == 1007
        assert (await level(ours, requests)).spent == 1

    asyncio.run(told())


def test_a_free_model_passes_a_budget_that_is_used_up(tmp_path: Path, prices: Prices) -> None:
    """LiteLLM #14004, #10973, #29912."""

    async def told() -> None:
        ours = till(tmp_path, prices, budget(limit=Decimal(0)))
        entry = await settled(ours, await reserve(ours, "free"), outcome())
        assert entry.nano_usd == 0

    asyncio.run(told())


class Gated(Breakable):
    """A ledger that settles when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()

    async def settle(self, hold: Hold, entry: Entry) -> tuple[Level, ...]:
        await self.open.wait()
        return await super().settle(hold, entry)


def test_who_asks_again_before_the_last_request_is_charged_does_not_slip_through(
    tmp_path: Path, prices: Prices
) -> None:
    """Nor is anybody refused for what a request that is over had reserved: there the next one
    waits until it is charged."""

    async def told(output: int) -> Charge:
        narrow, ledger = budget(limit=Decimal("0.015")), Gated()
        ours = till(tmp_path / str(output), prices, narrow, ledger=ledger)
        entry = await ours.settle(await reserve(ours), outcome(output=output))
        assert (await level(ours, narrow)).reserved == CENT
        assert entry.nano_usd == 2_000_000 + 8000 * output
        again = asyncio.ensure_future(reserve(ours))
        await asyncio.sleep(0.05)
        assert not again.done()
        ledger.open.set()
        return await again

    assert asyncio.run(told(output=0)).in_store
    with pytest.raises(BudgetExceeded):
        asyncio.run(told(output=1000))


def test_what_was_not_sent_costs_nothing(tmp_path: Path, prices: Prices) -> None:
    async def told() -> None:
        ours = till(tmp_path, prices, budget())
        await ours.release(await reserve(ours))
        found = await level(ours, budget())
        assert (found.spent, found.reserved) == (0, 0)
        assert ours.ledger.entries == []  # type: ignore[attr-defined]

    asyncio.run(told())


def test_who_leaves_while_the_store_is_asked_has_nothing_reserved(
    tmp_path: Path, prices: Prices
) -> None:
    class Slow(MemoryLedger):
        async def reserve(self, hold: Hold) -> Reserved | Refused:
            granted = await super().reserve(hold)
            await asyncio.sleep(0.1)
            return granted

    async def told() -> None:
        ours = till(tmp_path, prices, budget(), ledger=Slow())
        asking = asyncio.ensure_future(reserve(ours))
        await asyncio.sleep(0.02)
        assert (await level(ours, budget())).reserved == CENT
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await level(ours, budget())).reserved == 0

    asyncio.run(told())


def test_without_a_budget_the_line_is_written_all_the_same(tmp_path: Path, prices: Prices) -> None:
    async def told() -> None:
        ours = till(tmp_path, prices)
        admission = await ours.admit(ALICE)
        assert not admission.counted
        charge = await ours.reserve(admission, WANTED, model="own", upstream_url="", policy="auto")
        entry = await settled(ours, charge, outcome())
        assert (entry.nano_usd, entry.policy, entry.reserved_nano_usd) == (CENT, "auto", None)
        assert ours.ledger.entries == [entry]  # type: ignore[attr-defined]

    asyncio.run(told())


def test_with_the_store_down_closed_refuses_and_open_lets_through(
    tmp_path: Path, prices: Prices
) -> None:
    async def told() -> None:
        ours = till(tmp_path / "a", prices, budget())
        ours.ledger.down = True  # type: ignore[attr-defined]
        with pytest.raises(MoneyDown, match="'closed'"):
            await reserve(ours)
        for lenient in (budget(store_down="open"), budget(at={"100%": "warn"})):
            ours = till(tmp_path / lenient.store_down, prices, lenient)
            ours.ledger.down = True  # type: ignore[attr-defined]
            charge = await reserve(ours)
            assert not charge.in_store

    asyncio.run(told())


def test_with_the_store_down_lease_spends_what_was_set_aside_and_no_more(
    tmp_path: Path, prices: Prices
) -> None:
    """Otherwise the limit holds once for each replica (LiteLLM #35533, #35528, #32232)."""
    leased = budget(limit=Decimal(1), store_down="lease", slice_share=0.03)

    async def told() -> None:
        ours = till(tmp_path, prices, leased)
        await settled(ours, await reserve(ours), outcome())
        await ours.round()
        assert (await level(ours, leased)).reserved == 3 * CENT
        ours.ledger.down = True  # type: ignore[attr-defined]
        charges = [await reserve(ours) for _ in range(3)]
        with pytest.raises(MoneyDown, match="'lease'"):
            await reserve(ours)
        for charge in charges:
            await settled(ours, charge, outcome())
        assert len(ours.spool) == 3
        ours.ledger.down = False  # type: ignore[attr-defined]
        await ours.round()
        found = await level(ours, leased)
        assert (found.spent, found.reserved) == (4 * CENT, 3 * CENT)
        assert len(ours.spool) == 0

    asyncio.run(told())


def test_with_the_store_down_a_refused_request_spends_nothing_of_what_was_set_aside(
    tmp_path: Path, prices: Prices
) -> None:
    leased = budget(name="a", limit=Decimal(1), store_down="lease", slice_share=0.02)
    of_alice = budget(name="z", match={"user": "alice"})

    async def told() -> None:
        ours = till(tmp_path, prices, leased, of_alice)
        await settled(ours, await reserve(ours), outcome())
        await ours.round()
        ours.ledger.down = True  # type: ignore[attr-defined]
        for _ in range(3):
            with pytest.raises(MoneyDown, match="'z'"):
                await reserve(ours)
        for _ in range(2):
            assert not (await reserve(ours, user="bob")).in_store
        with pytest.raises(MoneyDown, match="'a'"):
            await reserve(ours, user="bob")

    asyncio.run(told())


def test_a_long_request_keeps_its_lease(tmp_path: Path, prices: Prices) -> None:
    async def told() -> None:
        ours = till(tmp_path, prices, budget(), lease_seconds=5)
        now = [0.0]
        ours.ledger.clock = lambda: now[0]  # type: ignore[attr-defined]
        charge = await reserve(ours)
        renewed, held = ours._running[charge.hold.id]
        for _ in range(4):
            ours._running[charge.hold.id] = (renewed - 3, held)
            now[0] += 4
            await ours.round()
        assert (await level(ours, budget())).reserved == CENT
        await settled(ours, charge, outcome())
        assert (await level(ours, budget())).reserved == 0

    asyncio.run(told())


def test_a_usage_of_zeros_is_charged_as_zero(tmp_path: Path, prices: Prices) -> None:
    """LiteLLM #37992."""

    async def told() -> None:
        ours = till(tmp_path, prices, budget())
        entry = await settled(ours, await reserve(ours), outcome(0, 0))
        assert (entry.nano_usd, entry.basis) == (0, "measured")

    asyncio.run(told())


def test_an_answer_nobody_could_read_has_no_cost_rather_than_none(
    tmp_path: Path, prices: Prices
) -> None:
    async def told() -> None:
        ours = till(tmp_path, prices)
        entry = await settled(ours, await reserve(ours), Outcome(used=None, basis="partial"))
        assert (entry.nano_usd, entry.basis) == (None, "unpriced")

    asyncio.run(told())


def test_closing_gives_back_what_was_set_aside(tmp_path: Path, prices: Prices) -> None:
    leased = budget(limit=Decimal(1), store_down="lease")

    async def told() -> None:
        ours = till(tmp_path, prices, leased)
        await settled(ours, await reserve(ours), outcome())
        await ours.round()
        assert (await level(ours, leased)).reserved == CENT
        await ours.close()
        assert (await level(ours, leased)).reserved == 0

    asyncio.run(told())
