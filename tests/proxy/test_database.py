"""The database is made, found and brought up to date, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledger_world import ALICE, NOW

from unabridged.policies.budget import Budget
from unabridged.proxy.database import (
    BadDatabaseUrl,
    database_url,
    metadata,
    open_database,
    snapshot,
    versions,
)
from unabridged.proxy.journal import SqlBooks
from unabridged.proxy.ledger import Entry, counters
from unabridged.proxy.virtual_keys import KeyRing, next_version


def test_the_default_is_a_file_in_the_state_directory(tmp_path: Path) -> None:
    assert str(database_url(None, tmp_path)) == f"sqlite:///{tmp_path}/ledger.db"
    assert database_url("postgresql://h/d", tmp_path).drivername == "postgresql+psycopg"
    assert database_url("postgresql+psycopg://h/d", tmp_path).host == "h"


def test_a_database_that_is_not_there_is_made(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/deep/l.db")
    names = set(sa.inspect(engine).get_table_names())
    assert names == {*metadata.tables, "alembic_version"}


def _open(path: str) -> None:
    open_database(path).dispose()


def test_proxies_that_start_at_once_do_not_trip_over_each_other(database: str) -> None:
    context = multiprocessing.get_context("spawn")
    starting = [context.Process(target=_open, args=(database,)) for _ in range(4)]
    for process in starting:
        process.start()
    for process in starting:
        process.join(60)
    assert [process.exitcode for process in starting] == [0] * 4


def test_a_snapshot_does_not_see_what_is_written_meanwhile(database: str) -> None:
    engine = open_database(database)
    query = sa.select(sa.func.count()).select_from(versions)
    with snapshot(engine) as reading:
        assert reading.execute(query).scalar() == 0
        with engine.begin() as writing:
            next_version(writing, "keys")
        assert reading.execute(query).scalar() == 0
    with snapshot(engine) as reading:
        assert reading.execute(query).scalar() == 1


def test_the_same_books_are_kept_on_either(database: str) -> None:
    engine = open_database(database)
    open_database(database).dispose()
    books = SqlBooks(engine)
    entry = Entry(id="1", at_ms=NOW, scopes=ALICE, nano_usd=7, input_tokens=3, basis="measured")
    lost = Entry(id="2", at_ms=NOW, scopes=ALICE, basis="lost")
    assert books.advance("acme", "", "g")
    assert books.write("acme", "g", "0-0", "1-0", [entry.record(), lost.record()])
    assert not books.write("acme", "g", "0-0", "1-0", [entry.record()])
    late = Entry(id="2", at_ms=NOW, scopes=ALICE, nano_usd=5)
    assert books.write("acme", "g", "1-0", "2-0", [late.record(), entry.record()])
    for unit, total in (("money", 12), ("tokens", 3), ("requests", 2)):
        budget = Budget(name="b", limit="1", unit=unit)  # type: ignore[arg-type]
        assert books.totals("acme", "g", counters([budget], ALICE, NOW)) == ("2-0", [total])
    assert books.lacks(["1", "3"]) == {"3"}
    ring = KeyRing(engine, b"p" * 32)
    secret, key = ring.create(name="ci", org="acme", now_ms=NOW)
    ring.refresh()
    assert ring.caller(secret, NOW) == key
    engine.dispose()


@pytest.mark.parametrize("given", ["postgresql://me:hunter2@h:abc/x", "hunter2"])
def test_a_url_that_cannot_be_read_says_where_it_stands(tmp_path: Path, given: str) -> None:
    with pytest.raises(BadDatabaseUrl, match=r"money\.database") as caught:
        database_url(given, tmp_path)
    assert "hunter2" not in str(caught.value)
