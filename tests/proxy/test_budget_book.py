"""Budgets change while the proxy runs, each change whole."""

from __future__ import annotations

from decimal import Decimal

import pytest

from unabridged.policies.budget import Budget
from unabridged.proxy.budget_book import BudgetBook, UnknownBudget
from unabridged.proxy.database import open_database

FILE = [Budget(name="org", limit=Decimal(10)), Budget(name="team", limit=Decimal(5))]


def book(database: str) -> BudgetBook:
    found = BudgetBook(FILE, open_database(database))
    found.refresh()
    return found


def limits(found: BudgetBook) -> dict[str, Decimal]:
    return {budget.name: budget.limit for budget in found.current.all}


def test_the_files_budgets_are_in_force_before_anything_is_set(database: str) -> None:
    assert limits(book(database)) == {"org": 10, "team": 5}


def test_what_is_set_takes_the_place_of_its_namesake_on_every_proxy(database: str) -> None:
    ours, theirs = book(database), book(database)
    ours.set(FILE[0].model_copy(update={"limit": Decimal(20)}), now_ms=1)
    ours.set(Budget(name="new", limit=Decimal(1), each="user"), now_ms=2)
    assert limits(ours) == {"org": 20, "team": 5, "new": 1}
    assert limits(theirs)["org"] == 10
    assert theirs.refresh()
    assert limits(theirs) == limits(ours)
    assert not theirs.refresh()


def test_what_a_request_was_admitted_with_stays(database: str) -> None:
    ours = book(database)
    pinned = ours.current
    ours.set(FILE[0].model_copy(update={"limit": Decimal(20)}), now_ms=1)
    assert {budget.limit for budget in pinned.all} == {10, 5}
    assert ours.current.version == pinned.version + 1


def test_a_budget_of_the_file_can_be_ended_and_come_back(database: str) -> None:
    ours = book(database)
    ours.remove("team", now_ms=1)
    assert limits(ours) == {"org": 10}
    assert limits(book(database)) == {"org": 10}
    ours.set(FILE[1], now_ms=2)
    assert limits(ours) == {"org": 10, "team": 5}


def test_an_unknown_one_cannot_be_ended(database: str) -> None:
    with pytest.raises(UnknownBudget, match="'nix'"):
        book(database).remove("nix", now_ms=1)
