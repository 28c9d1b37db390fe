"""The laws of a ledger, told on the one in memory; the one in the store keeps them too."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_world import ALICE, NOW, cost, hold

from unabridged.policies.budget import Budget
from unabridged.proxy.ledger import (
    LARGEST,
    Claim,
    Entry,
    MemoryLedger,
    Reserved,
    counters,
    has_room,
)

ORG = Budget(name="org", window="total", limit=Decimal("0.000001"))  # 1,000 nano-dollars
USER = Budget(name="user", each="user", window="month", limit=Decimal("0.0000006"))

steps = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle", "release", "wait"]),
        st.integers(0, 9),
        st.integers(0, 400),
    ),
    max_size=40,
)


@given(steps)
def test_whatever_happens_no_limit_is_passed_and_the_sums_agree(
    told: list[tuple[str, int, int]],
) -> None:
    async def live() -> None:
        now = [0.0]
        ledger = MemoryLedger(clock=lambda: now[0])
        holds = {}
        for what, number, amount in told:
            user = f"u{number % 2}"
            if what == "reserve" and number not in holds:
                held = hold([ORG, USER], amount, scopes=replace(ALICE, user=user))
                if isinstance(await ledger.reserve(held), Reserved):
                    holds[number] = held
            elif what == "settle" and number in holds:
                held = holds[number]
                spent = min(amount, held.claims[0].amount)
                await ledger.settle(held, cost(held, spent))
            elif what == "release" and number in holds:
                await ledger.release(holds[number])
            elif what == "wait":
                now[0] += amount / 10
            for user in ("u0", "u1"):
                on = counters([ORG, USER], replace(ALICE, user=user), NOW)
                for level in await ledger.read(on):
                    assert 0 <= level.reserved <= level.used
        now[0] += 1000
        for user in ("u0", "u1"):
            org, own = await ledger.read(counters([ORG, USER], replace(ALICE, user=user), NOW))
            assert org.reserved == own.reserved == 0
            assert org.spent == sum(entry.nano_usd or 0 for entry in ledger.entries)
            assert own.spent == sum(
                entry.nano_usd or 0 for entry in ledger.entries if entry.scopes.user == user
            )

    asyncio.run(live())


@given(st.integers(0, 10**18), st.integers(0, LARGEST), st.none() | st.integers(0, 10**18))
def test_there_is_room_up_to_the_limit_and_always_for_what_costs_nothing(
    used: int, amount: int, limit: int | None
) -> None:
    assert has_room(used, 0, limit)
    assert has_room(used, amount, limit) == (limit is None or not amount or used + amount <= limit)


def test_an_entry_survives_being_written_down() -> None:
    entry = Entry(id="1", at_ms=NOW, scopes=ALICE, nano_usd=5, basis="estimated")
    assert Entry.of(entry.record()) == entry
    assert Entry.row(entry.record()) == entry.record()
    older = {name: value for name, value in entry.record().items() if name != "sent_model"}
    assert Entry.row(older) == entry.record()
    with pytest.raises(ValueError, match=r"another version: .*colour"):
        Entry.row({**older, "sent_model": "m", "colour": "red"})


def test_what_an_entry_charges_depends_on_the_budgets_unit() -> None:
    entry = Entry(id="1", at_ms=NOW, scopes=ALICE, nano_usd=7, input_tokens=100, output_tokens=20)
    for unit, amount in (("money", 7), ("tokens", 120), ("requests", 1)):
        budget = Budget(name="b", limit=Decimal(1), unit=unit)  # type: ignore[arg-type]
        assert entry.amount(budget) == amount
        assert replace(entry, basis="lost").amount(budget) == 0


def test_counters_are_told_apart_by_all_that_matters() -> None:
    def id(budget: Budget, now_ms: int = NOW, **who: str) -> str:
        return counters([budget], replace(ALICE, **who), now_ms)[0].id

    assert id(USER) != id(USER, user="bob")
    assert id(ORG) == id(ORG, user="bob")
    assert id(ORG) != id(ORG, org="other")
    assert id(USER) != id(USER, NOW + 40 * 86_400_000)
    assert id(ORG) == id(ORG.model_copy(update={"limit": Decimal(9)}))
    assert "alice" not in id(USER)


@pytest.mark.parametrize("amount", [-1, LARGEST + 1])
def test_an_absurd_amount_is_refused_where_it_is_made(amount: int) -> None:
    (counter,) = counters([ORG], ALICE, NOW)
    with pytest.raises(ValueError, match="budget 'org': amount must be 0 to"):
        Claim(counter=counter, amount=amount)
