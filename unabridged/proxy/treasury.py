"""Opens everything that money needs, and keeps it going while the proxy runs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import redis.asyncio
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from unabridged.compression.job import Count
from unabridged.policies.config import Config
from unabridged.proxy.budget_book import BudgetBook
from unabridged.proxy.cache import Breaker
from unabridged.proxy.database import database_url, open_database
from unabridged.proxy.journal import Journal, SqlBooks
from unabridged.proxy.price import load_prices
from unabridged.proxy.redis_ledger import RedisLedger
from unabridged.proxy.spending import Spendings
from unabridged.proxy.spool import Spool
from unabridged.proxy.store_client import STORE_ERRORS, close, connect_async
from unabridged.proxy.till import Till
from unabridged.proxy.virtual_keys import KeyRing, pepper
from unabridged.proxy.workers import Workers

COPYING_MS = 5000
"""How long the journal waits for the store. Nobody waits for the journal, and what a request may
wait (store.timeout_ms) is too short for batches and on a busy machine."""
LOOK_SECONDS = 1.0
"""How soon a key that was made or revoked elsewhere counts here."""


class DatabaseNotOpened(Exception):
    """The ledger's database cannot be opened; says which and why, without its password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Treasury:
    """The parts, and the work that goes on beside the requests."""

    spendings: Spendings
    ring: KeyRing
    engine: Engine
    journal: Journal
    ledger: RedisLedger
    client: redis.asyncio.Redis
    copying: redis.asyncio.Redis
    """The journal's own connections."""
    on_trouble: Callable[[str], None]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Copies entries, renews leases and looks for changed keys and budgets. At the end
        what was settled is copied, as far as store and database answer."""
        work = (self.journal.run(), self.spendings.till.run(), self._look())
        tasks = [asyncio.create_task(each) for each in work]
        # The first request shall not wait for connections, in a cluster to all its nodes.
        with contextlib.suppress(*STORE_ERRORS):
            async with asyncio.timeout(1):
                await self.ledger.load()
        try:
            yield
        finally:
            await _ended(tasks)
            with contextlib.suppress(Exception):
                async with asyncio.timeout(5):
                    await self.spendings.till.close()
                    await self.journal.round()
            for each in (self.client, self.copying):
                await close(each)
            self.engine.dispose()

    async def _look(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.ring.refresh)
            except SQLAlchemyError as error:
                self.on_trouble(f"keys could not be read: {type(error).__name__}")
            await asyncio.sleep(LOOK_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What stands in the database, read once."""

    engine: Engine
    book: BudgetBook
    ring: KeyRing


def open_records(
    config: Config, *, state_dir: Path, environment: Mapping[str, str], secret: bytes
) -> Records:
    """Database, budgets and keys, as they are now. Raises DatabaseNotOpened."""
    url = database_url(config.money.database or environment.get("UNABRIDGED_DATABASE"), state_dir)
    try:
        engine = open_database(url)
        book, ring = BudgetBook(config.budgets, engine), KeyRing(engine, pepper(secret))
        book.refresh()
        ring.refresh()
    except (SQLAlchemyError, ImportError, OSError) as error:
        shown = url.render_as_string(hide_password=True)
        raise DatabaseNotOpened(
            f"the database {shown} cannot be opened: {type(error).__name__} (money.database in "
            f"the configuration, or UNABRIDGED_DATABASE)"
        ) from error
    return Records(engine=engine, book=book, ring=ring)


def open_treasury(
    config: Config,
    records: Records,
    *,
    state_dir: Path,
    store_url: str,
    revive: Callable[[], None],
    reading: Workers,
    counter: Callable[[str, str | None], Count],
    on_trouble: Callable[[str], None],
) -> Treasury:
    """Everything but what `Treasury.running` starts. `revive` is called when the store does not
    answer. Raises BadPriceMap."""
    timeout = config.store.timeout_ms
    asking, copying = (connect_async(store_url, timeout_ms=ms) for ms in (None, COPYING_MS))
    books = SqlBooks(records.engine)
    ledger = RedisLedger(asking, books, Breaker(on_rest=revive), timeout_ms=timeout)
    troubled = seldom(on_trouble)
    till = Till(
        ledger=ledger,
        book=records.book,
        prices=load_prices(config.money.prices),
        spool=Spool(state_dir / "spool", on_trouble=troubled),
        settings=config.money,
        on_trouble=troubled,
    )
    return Treasury(
        spendings=Spendings(till=till, config=config, reading=reading, counter=counter),
        ring=records.ring,
        engine=records.engine,
        journal=Journal(copying, books, ledger, on_trouble=troubled),
        ledger=ledger,
        client=asking,
        copying=copying,
        on_trouble=troubled,
    )


async def _ended(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancels until all have ended: a client of the store may turn a cancellation that comes
    with its timeout into an error of its own, and then the work goes on."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=0.1)


def seldom(
    tell: Callable[[str], None],
    *,
    seconds: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
) -> Callable[[str], None]:
    """Tells the same thing once in a while only."""
    told: dict[str, float] = {}

    def say(said: str) -> None:
        now = clock()
        if now - told.get(said, -seconds) >= seconds:
            told[said] = now
            tell(said)

    return say
