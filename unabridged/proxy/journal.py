"""Copies the ledger's entries from the store into SQL, each exactly once."""

from __future__ import annotations

import asyncio
import fnmatch
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis.asyncio
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from unabridged.policies.budget import SCOPES, Budget
from unabridged.proxy.database import entries, insert_new, positions, snapshot, upsert
from unabridged.proxy.ledger import Counter, Entry
from unabridged.proxy.redis_ledger import RedisLedger, prefix

BATCH = 500
POLL_SECONDS = 0.2
"""How long an entry may wait in the store, and so what a flush of it can lose from there."""
ORGS = "unabridged:{orgs}"
START = "0-0"
CURRENT = "current"
"""In place of a generation: the row that says which one's entries are taken."""
OLDER = "older "
"""Before a generation: the row that says that its store was found to have gone back in time. It is
in SQL, so that the counters are rebuilt even if whoever found it ends."""
_GLOB = set("*?[")


class SqlBooks:
    """Entries in SQL, and what they come to. Synchronous: call it from a thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def totals(
        self, org: str, generation: str, counters: Sequence[Counter]
    ) -> tuple[str, list[int]]:
        """See redis_ledger.Books."""
        with snapshot(self._engine) as connection:
            position = self._position(connection, org, generation)
            return position, [_total(connection, counter) for counter in counters]

    def fence(self, org: str) -> str:
        """The generation whose entries are taken; empty: there was none yet."""
        with snapshot(self._engine) as connection:
            return self._position(connection, org, CURRENT, none="")

    def advance(self, org: str, before: str, after: str) -> bool:
        """Takes entries of another generation from now on, and none of the one before. False:
        the fence does not stand at `before` any more.

        Ask for the fence first and the store for its generation then: an answer of the store
        that is older than the fence could set it back.
        """
        with self._engine.begin() as connection:
            row = {"org": org, "generation": CURRENT, "position": before}
            connection.execute(insert_new(positions, connection), row)
            place = _place(org, CURRENT) & (positions.c.position == before)
            moved = connection.execute(positions.update().where(place).values(position=after))
            return moved.rowcount == 1

    def position(self, org: str, generation: str) -> str:
        """Up to where the stream of a generation has been copied."""
        with snapshot(self._engine) as connection:
            return self._position(connection, org, generation)

    def standing(self, org: str, generation: str) -> tuple[str, bool]:
        """That position, and whether the store of the generation has gone back in time."""
        names = (generation, OLDER + generation)
        query = sa.select(positions.c.generation, positions.c.position).where(
            positions.c.org == org, positions.c.generation.in_(names)
        )
        with snapshot(self._engine) as connection:
            found = {row.generation: row.position for row in connection.execute(query)}
        return found.get(generation, START), OLDER + generation in found

    def found_older(self, org: str, generation: str) -> None:
        """The store of the generation has gone back in time."""
        with self._engine.begin() as connection:
            _found_older(connection, org, generation)

    def write(
        self,
        org: str,
        generation: str,
        before: str,
        after: str,
        found: Sequence[Mapping[str, Any]],
    ) -> bool:
        """Adds entries (as Entry.row gives them) and moves the position, both or neither. False:
        another worker was first, or the fence stands elsewhere: what was read from a store before
        it was emptied must not arrive after its counters were rebuilt.

        An entry that is there already, by its id, is not added again, unless as lost. Its store
        has charged it twice, then: it is older than what it was asked to do.
        """
        with self._engine.begin() as connection:
            fence = sa.select(positions.c.position).where(_place(org, CURRENT))
            if connection.execute(fence.with_for_update(read=True)).scalar() != generation:
                return False
            connection.execute(
                insert_new(positions, connection),
                {"org": org, "generation": generation, "position": START},
            )
            moved = connection.execute(
                positions.update()
                .where(_place(org, generation) & (positions.c.position == before))
                .values(position=after)
            )
            if moved.rowcount != 1:
                connection.rollback()
                return False
            if found:
                # What was given up as lost may be settled after all.
                adding = upsert(entries, connection, where=entries.c.basis == "lost")
                counting = {"preserve_rowcount": True}
                added = connection.execute(adding, found, execution_options=counting).rowcount
                if added < len(found):
                    _found_older(connection, org, generation)
            return True

    def lacks(self, ids: Sequence[str]) -> set[str]:
        """Which of these entries are not there."""
        with snapshot(self._engine) as connection:
            rows = connection.execute(sa.select(entries.c.id).where(entries.c.id.in_(ids)))
            return set(ids) - {row.id for row in rows}

    def _position(
        self, connection: Connection, org: str, generation: str, none: str = START
    ) -> str:
        query = sa.select(positions.c.position).where(_place(org, generation))
        return connection.execute(query).scalar() or none


class Journal:
    """The worker. Any number may run; the position in SQL decides whose batch counts."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        books: SqlBooks,
        ledger: RedisLedger,
        *,
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_trouble` is told in words when a round fails; it is tried again."""
        self._client = client
        self._books = books
        self._ledger = ledger
        self._on_trouble = on_trouble
        self._generations: dict[str, str] = {}

    async def run(self) -> None:
        """Copies until it is cancelled."""
        while True:
            try:
                await self.round()
            except Exception as error:  # a store or database that is away must not end the work
                self._on_trouble(f"the journal could not be copied: {type(error).__name__}")
            await asyncio.sleep(POLL_SECONDS)

    async def round(self) -> int:
        """Copies what there is for every organisation; returns how many entries."""
        if self._ledger.orgs:
            await _done(self._client.sadd(ORGS, *self._ledger.orgs))
        orgs = await _done(self._client.smembers(ORGS))
        return sum([await self.drain(org) for org in sorted(orgs)])

    async def drain(self, org: str) -> int:
        """Copies what there is for one organisation; returns how many entries."""
        generation = await self._fenced(org)
        if generation is None:
            return 0
        if self._generations.get(org, generation) != generation:
            await self._resend(org)
        self._generations[org] = generation
        stream = f"{prefix(org)}j:{generation}"
        copied = 0
        while True:
            before, older = await asyncio.to_thread(self._books.standing, org, generation)
            if not older and await self._went_back(org, generation, stream, before):
                await asyncio.to_thread(self._books.found_older, org, generation)
                older = True
            items = await _done(self._client.xrange(stream, "(" + before, "+", count=BATCH))
            if not items:
                if older:
                    await self._rebuild(org, generation, stream, before)
                return copied
            after = items[-1][0]
            if await asyncio.to_thread(self._copy, org, generation, before, items):
                copied += len(items)
                # Keeps the last one, whose id tells a store that went back in time.
                await _done(self._client.xtrim(stream, minid=after, approximate=False))
                if len(items) < BATCH and not older:
                    return copied
            elif await asyncio.to_thread(self._books.fence, org) != generation:
                return copied

    def _copy(self, org: str, generation: str, before: str, items: Sequence[Any]) -> bool:
        rows = [Entry.row(json.loads(fields["e"])) for _, fields in items]
        return self._books.write(org, generation, before, items[-1][0], rows)

    async def _fenced(self, org: str) -> str | None:
        """The store's generation, which the fence lets through; None: there is none yet."""
        while True:
            fence = await asyncio.to_thread(self._books.fence, org)
            generation: str | None = await _done(self._client.hget(prefix(org) + "epoch", "g"))
            if generation is None or fence == generation:
                return generation
            await asyncio.to_thread(self._books.advance, org, fence, generation)

    async def _went_back(self, org: str, generation: str, stream: str, position: str) -> bool:
        """True if the stream lacks the last entry that was copied from it, which is always left
        there: then it comes from an old backup, whatever has been added since."""
        if position == START or await _done(self._client.xrange(stream, position, position)):
            return False
        # Another worker may have copied more meanwhile, and left its own last entry.
        return await asyncio.to_thread(self._books.position, org, generation) == position

    async def _rebuild(self, org: str, generation: str, stream: str, copied: str) -> None:
        """Has all counters seeded anew: they are as old as the backup. Comes to nothing, and is
        tried again in the next round, if an entry was added since all had been copied, up to
        `copied`; so SQL is not asked in between, which takes long enough for one to come."""
        self._on_trouble(f"the store of {org!r} went back in time; its counters are rebuilt")
        last = await _done(self._client.xrevrange(stream, count=1))
        if not last or _order(last[0][0]) <= _order(copied):
            await self._ledger.renew(org, generation, last[0][0] if last else "")

    async def _resend(self, org: str) -> None:
        """The store was emptied: what this process settled lately may not have been copied."""
        recent = {hold.id: (hold, entry) for hold, entry in self._ledger.recent(org)}
        if recent:
            for id in await asyncio.to_thread(self._books.lacks, list(recent)):
                await self._ledger.settle(*recent[id])


def _place(org: str, generation: str) -> sa.ColumnElement[bool]:
    return (positions.c.org == org) & (positions.c.generation == generation)


def _found_older(connection: Connection, org: str, generation: str) -> None:
    row = {"org": org, "generation": OLDER + generation, "position": START}
    connection.execute(insert_new(positions, connection), row)


async def _done(answer: Any) -> Any:
    """The client types its answers as both plain and awaitable."""
    return await answer


def _order(position: str) -> tuple[int, int]:
    milliseconds, _, number = position.partition("-")
    return int(milliseconds), int(number)


def _total(connection: Connection, counter: Counter) -> int:
    """What all entries in a counter's window have charged it; the rule is Entry.amount."""
    budget, window = counter.budget, counter.window
    dimensions = [entries.c[scope] for scope in SCOPES]
    query = (
        sa.select(*dimensions, _charged(budget).label("charged"))
        .where(
            entries.c.org == counter.org,
            entries.c.at_ms >= window.start_ms,
            entries.c.basis != "lost",
            *_exact(budget),
        )
        .group_by(*dimensions)
    )
    if window.end_ms is not None:
        query = query.where(entries.c.at_ms < window.end_ms)
    rows = connection.execute(query).mappings()
    return sum(int(row["charged"] or 0) for row in rows if _fits(budget, counter.subject, row))


def _charged(budget: Budget) -> Any:
    if budget.unit == "requests":
        return sa.func.count()
    if budget.unit == "tokens":
        both = (entries.c.input_tokens, entries.c.output_tokens)
        return sum((sa.func.sum(sa.func.coalesce(column, 0)) for column in both), sa.literal(0))
    return sa.func.sum(sa.func.coalesce(entries.c.nano_usd, 0))


def _exact(budget: Budget) -> list[Any]:
    """What the database itself can compare: the parts of the match that are no globs."""
    wanted = budget.match.model_dump()
    return [
        entries.c[scope] == value
        for scope, value in wanted.items()
        if value is not None and not _GLOB & set(value)
    ]


def _fits(budget: Budget, subject: str, row: Mapping[Any, Any]) -> bool:
    for scope in SCOPES:
        glob = getattr(budget.match, scope)
        value = row[scope]
        if glob is not None and (value is None or not fnmatch.fnmatchcase(value, glob)):
            return False
    return budget.each is None or (row[budget.each] or "") == subject
