"""Budgets are as full as the store says, for everybody who paid, with where they are heading."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from ledger_world import ALICE, NOW

from unabridged.policies.budget import Budget, Who
from unabridged.proxy.budget_book import BudgetBook
from unabridged.proxy.database import open_database
from unabridged.proxy.journal import SqlBooks
from unabridged.proxy.ledger import Claim, Entry, Hold, LedgerDown, MemoryLedger, counters
from unabridged.proxy.levels import known_counters, levels, projected

DAY = 86_400_000
EACH = Budget(name="each", each="user", window="day", unit="requests", limit=Decimal(10))
ALL = Budget(name="all", window="month", unit="requests", limit=Decimal(4), at={"100%": "refuse"})


class Till:
    """As much of a till as is asked."""

    def __init__(self, ledger: Any, book: BudgetBook) -> None:
        self.ledger, self.book = ledger, book


def world(database: str, *budgets: Budget) -> tuple[Any, Any]:
    engine = open_database(database)
    written = []
    ledger = MemoryLedger()
    for n, user in enumerate(("alice", "alice", "bob", None)):
        scopes = replace(ALICE, user=user, org="default")
        at_ms = NOW if user != "bob" else NOW - 3 * DAY
        entry = Entry(id=f"e{n}", at_ms=at_ms, scopes=scopes, nano_usd=5)
        written.append(entry)
        hold = Hold(entry=entry, claims=())
        claims = tuple(Claim(counter=c, amount=0) for c in counters(budgets, scopes, at_ms))
        asyncio.run(ledger.settle(replace(hold, claims=claims), entry))
    books = SqlBooks(engine)
    assert books.advance("default", "", "g")
    assert books.write("default", "g", "0-0", "1-0", [each.record() for each in written])
    return Till(ledger, BudgetBook(budgets, engine)), engine


def test_every_counter_of_the_window_is_told_the_fullest_first(database: str) -> None:
    till, engine = world(database, EACH, ALL)
    found = asyncio.run(levels(till, engine, NOW))
    assert [(one["budget"], one["subject"], one["spent"]) for one in found["levels"]] == [
        ("all", None, 4),
        ("each", "alice", 2),
        ("each", None, 1),
    ]
    assert found["levels"][0]["steps"] == ["100% refuse"]
    assert found["levels"][0]["step"] == "100%"


def test_a_budget_nobody_has_used_is_told_too(database: str) -> None:
    own = Budget(name="other", match=Who(team="nobody"), window="day", limit=Decimal(1))
    _, engine = world(database, ALL)
    assert [counter.budget.name for counter in known_counters(engine, [own], NOW)] == ["other"]
    assert known_counters(engine, [], NOW) == []


def test_a_store_that_does_not_answer_is_said(database: str) -> None:
    class Down(MemoryLedger):
        async def read(self, counters: Any) -> Any:
            raise LedgerDown("no")

    till, engine = world(database, ALL)
    till.ledger = Down()
    assert asyncio.run(levels(till, engine, NOW)) == {"levels": [], "store_down": True}


@pytest.mark.parametrize(
    ("spent", "now", "expected"), [(50, 500, 100), (50, 1000, 50), (50, 5, None), (0, 500, 0)]
)
def test_what_goes_on_like_this_is_projected(spent: int, now: int, expected: int | None) -> None:
    assert projected(spent, 0, 1000, now) == expected
    assert projected(spent, 0, None, now) is None
