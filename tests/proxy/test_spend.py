"""The report adds up what the ledger holds, and says what it does not know."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest
from ledger_world import ALICE, NOW
from sqlalchemy.engine import Engine

from unabridged.proxy.database import open_database
from unabridged.proxy.journal import SqlBooks
from unabridged.proxy.ledger import Entry
from unabridged.proxy.spend import BY, BadSpend, as_csv, spend

DAY = 86_400_000


def entry(number: int, user: str | None = "alice", **fields: Any) -> Entry:
    who = replace(ALICE, user=user, org=fields.pop("org", "acme"))
    return Entry(**{"id": f"e{number}", "at_ms": NOW, "scopes": who, **fields})


@pytest.fixture
def engine(database: str) -> Engine:
    found = open_database(database)
    written = [
        entry(1, nano_usd=5, saved_nano_usd=9, tokens_before=10, tokens_after=4, output_tokens=2),
        entry(2, nano_usd=7, saved_nano_usd=-2, basis="estimated"),
        entry(3, "bob", nano_usd=20),
        entry(4, None, basis="unpriced"),
        entry(5, basis="lost"),
        entry(6, nano_usd=100, at_ms=NOW - 40 * DAY),
        entry(7, nano_usd=1000, org="other"),
    ]
    books = SqlBooks(found)
    assert books.advance("acme", "", "g")
    assert books.write("acme", "g", "0-0", "1-0", [each.record() for each in written])
    return found


def test_groups_come_the_dearest_first_with_what_is_not_known(engine: Engine) -> None:
    found = spend(engine, now_ms=NOW, by="user", org="acme")
    rows = found.rows
    assert [(row.group, row.nano_usd) for row in rows] == [("bob", 20), ("alice", 12), ("", 0)]
    alice = rows[1]
    assert (alice.requests, alice.estimated, alice.lost) == (3, 1, 1)
    assert (alice.saved_nano_usd, alice.tokens_before, alice.tokens_after) == (7, 10, 4)
    assert rows[2].unpriced == 1
    assert found.total.nano_usd == 32


def test_the_window_is_the_current_one(engine: Engine) -> None:
    assert spend(engine, now_ms=NOW, org="acme", kind="total").total.nano_usd == 132
    assert spend(engine, now_ms=NOW + DAY, org="acme", kind="day").total.requests == 0
    assert spend(engine, now_ms=NOW).total.nano_usd == 1032


def test_medians_are_of_requests_where_the_number_is_known(engine: Engine) -> None:
    found = spend(engine, now_ms=NOW, by="user", org="acme")
    assert found.total.medians["nano_usd"] == 7
    assert found.total.medians["saved_nano_usd"] == 3.5
    alice = next(row for row in found.rows if row.group == "alice")
    assert alice.medians["tokens_saved"] == 6
    assert alice.medians["saved_share"] == 0.6
    assert found.rows[0].medians["saved_share"] is None


@pytest.mark.parametrize("by", BY)
def test_every_group_can_be_added_up_by(engine: Engine, by: str) -> None:
    assert spend(engine, now_ms=NOW, by=by, org="acme").total.nano_usd == 32


def test_another_group_is_refused_by_name(engine: Engine) -> None:
    with pytest.raises(BadSpend, match="unknown group 'teem'"):
        spend(engine, now_ms=NOW, by="teem")


def test_csv_is_exact_and_starts_no_formula(engine: Engine) -> None:
    rows = spend(engine, now_ms=NOW, by="user", org="acme").rows
    rows.append(replace(rows[0], group="=cmd()"))
    read = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert [row["group"] for row in read] == ["bob", "alice", "", "'=cmd()"]
    assert read[1]["nano_usd"] == "12"


def test_an_empty_ledger_is_a_report_of_nothing(database: str) -> None:
    found = spend(open_database(database), now_ms=NOW)
    assert found.rows == []
    assert found.total.requests == 0
    assert set(found.total.medians.values()) == {None}
