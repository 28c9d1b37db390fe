"""The ledger in a store that speaks the Redis protocol: one round trip for each step, and one for
all that come at the same time."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any, Protocol
from urllib.parse import quote

import redis.asyncio

from unabridged.proxy.cache import Breaker, StoreDown
from unabridged.proxy.gathered import Gathered
from unabridged.proxy.ids import unique
from unabridged.proxy.ledger import (
    Claim,
    Counter,
    Entry,
    Hold,
    LedgerDown,
    Level,
    Refused,
    Reserved,
    Settled,
)
from unabridged.proxy.patience import Patience
from unabridged.proxy.store_client import STORE_ERRORS

GRACE_MS = 48 * 3_600_000
"""How long a counter outlives its window, for entries that are settled late."""
RESENT_SECONDS = 30.0
"""How long a settled entry is remembered, to be sent again if the store is emptied."""
SEED_SECONDS = 2.0
"""Longest wait for counters to be rebuilt from SQL."""


class Books(Protocol):
    """What SQL knows about counters."""

    def totals(
        self, org: str, generation: str, counters: Sequence[Counter]
    ) -> tuple[str, list[int]]:
        """What entries have charged to each counter, and the position in the generation's
        stream up to which they are all there; both from one transaction."""
        ...

    def fence(self, org: str) -> str:
        """The generation whose entries are taken; see SqlBooks."""
        ...

    def advance(self, org: str, before: str, after: str) -> bool:
        """Moves the fence; see SqlBooks."""
        ...


def prefix(org: str) -> str:
    """What all keys of one organisation begin with. The tag puts them on one node of a cluster."""
    return f"unabridged:{{{quote(org, safe='')}}}:"


_Call = tuple[str, str, Sequence[str]]
"""A function, what the keys begin with, and the other arguments."""
_Ask = Gathered[_Call, list[str] | Exception]


class RedisLedger:
    """A Ledger in Redis 7, Valkey or newer. See ledger.lua for what is kept."""

    def __init__(
        self, client: redis.asyncio.Redis, books: Books, breaker: Breaker, *, timeout_ms: int = 75
    ) -> None:
        """`client` should have no time limit of its own, which would go on while our own event
        loop is late."""
        self._client = client
        self._books = books
        self._breaker = breaker
        self._seconds = timeout_ms / 1000
        self._ask: _Ask = Gathered(self._ask_all)
        self._charge: _Ask = Gathered(self._ask_all)
        """For what nobody waits for, so that it is not in the way of what is waited for."""
        self._seeding: dict[str, asyncio.Lock] = {}
        self._settled: deque[tuple[float, Hold, Entry]] = deque()
        self.orgs: set[str] = set()
        """Organisations that this process has asked about."""

    async def load(self) -> None:
        """Has the store know the functions: in a cluster, each of its nodes."""
        loading: Any = self._client.function_load(functions()[0], replace=True)
        await self._within(loading)

    async def reserve(self, hold: Hold) -> Reserved | Refused:
        """See Ledger. Of a lease that is renewed, a counter that is to be rebuilt is left out."""
        lost = json.dumps(_lost(hold.entry).record()) if hold.journaled else ""
        args = [hold.id, str(hold.lease_ms), lost]
        for claim in hold.claims:
            limit = claim.counter.budget.refuses_above
            args += [_key(claim.counter), str(claim.amount), str(-1 if limit is None else limit)]
        for _ in range(3):
            said, *rest = await self._call("reserve", _org(hold), _fresh(), *args)
            if said != "unseeded":
                break
            await self._seed([hold.claims[int(n)].counter for n in rest])
        if said == "ok":
            return Reserved(levels=_known([c.counter for c in hold.claims], rest))
        if said == "refused":
            return _refused(hold.claims, rest)
        raise LedgerDown(f"the reservation was not taken: {said}")

    async def settle(self, hold: Hold, entry: Entry) -> tuple[Level, ...]:
        """See Ledger. A counter that is to be rebuilt is left out."""
        return await self.settle_many([(hold, entry)])

    async def settle_many(self, settled: Sequence[Settled]) -> tuple[Level, ...]:
        """See Ledger. A counter that is to be rebuilt is left out."""
        args: list[str] = []
        charged: dict[str, Counter] = {}
        for hold, entry in settled:
            args += [hold.id, json.dumps(entry.record()), str(len(hold.claims))]
            for claim in hold.claims:
                key = _key(claim.counter)
                charged.setdefault(key, claim.counter)
                args += [key, str(entry.amount(claim.counter.budget))]
        org = _org(settled[0][0])
        levels = await self._call("settle", org, _fresh(), *args)
        self._remember(settled)
        return _known(list(charged.values()), levels)

    async def release(self, hold: Hold) -> None:
        """See Ledger."""
        await self._call("release", _org(hold), hold.id)

    async def read(self, counters: Sequence[Counter]) -> tuple[Level, ...]:
        """See Ledger."""
        if not counters:
            return ()
        org = counters[0].org
        for _ in range(3):
            keys = [_key(counter) for counter in counters]
            _, *rest = await self._call("read", org, _fresh(), *keys)
            missing = [c for n, c in enumerate(counters) if not rest[2 * n]]
            if not missing:
                return _levels(counters, rest)
            await self._seed(missing)
        raise LedgerDown("counters vanish as soon as they are rebuilt")

    async def renew(self, org: str, generation: str, last: str) -> None:
        """Has every counter of a generation rebuilt before it is used again, if `last` is still
        the last entry of its stream (empty: it has none)."""
        await self._call("renew", org, generation, _fresh(), last)

    def recent(self, org: str) -> list[tuple[Hold, Entry]]:
        """What this process settled within RESENT_SECONDS."""
        return [(hold, entry) for _, hold, entry in self._settled if _org(hold) == org]

    def _remember(self, settled: Sequence[Settled]) -> None:
        now = time.monotonic()
        self._settled.extend((now, hold, entry) for hold, entry in settled)
        while now - self._settled[0][0] > RESENT_SECONDS:
            self._settled.popleft()

    async def _seed(self, counters: Sequence[Counter]) -> None:
        """Rebuilds counters from SQL. One at a time for an organisation, in this process by a
        lock, among all by a key; who waits finds them there."""
        org = counters[0].org
        try:
            async with asyncio.timeout(SEED_SECONDS), self._seeding.setdefault(org, asyncio.Lock()):
                await self._seed_alone(org, counters)
        except STORE_ERRORS as error:
            self._breaker.failed()
            raise LedgerDown(f"counters cannot be rebuilt: {type(error).__name__}") from error

    async def _seed_alone(self, org: str, counters: Sequence[Counter]) -> None:
        while True:
            fence = await asyncio.to_thread(self._books.fence, org)
            generation, *rest = await self._call(
                "read", org, _fresh(), *(_key(c) for c in counters)
            )
            missing = [c for n, c in enumerate(counters) if not rest[2 * n]]
            if not missing:
                return
            if fence != generation:
                await asyncio.to_thread(self._books.advance, org, fence, generation)
                continue
            turn = f"{prefix(org)}seeding"
            taking = self._client.set(turn, "1", nx=True, px=int(SEED_SECONDS * 1000))
            if not await self._within(taking):
                await asyncio.sleep(0.01)
                continue
            try:
                if await self._seeded(org, generation, missing):
                    return
            finally:
                await self._within(self._client.delete(turn))

    async def _seeded(self, org: str, generation: str, counters: Sequence[Counter]) -> bool:
        """False: the sums were too old when they came to the store, and are to be taken again."""
        position, sums = await asyncio.to_thread(self._books.totals, org, generation, counters)
        args: list[str] = []
        for counter, total in zip(counters, sums, strict=True):
            args += [_key(counter), str(total), str(_lifetime(counter))]
        outcome, _ = await self._call("seed", org, generation, position, *args)
        return outcome in ("seeded", "had")

    async def _call(self, name: str, org: str, *args: str) -> list[str]:
        self.orgs.add(org)
        ask = self._charge if name == "settle" else self._ask
        try:
            self._breaker.admit()
            async with Patience(self._seconds):
                answer = await ask((f"unabridged_{name}_{functions()[1]}", prefix(org), args))
            if isinstance(answer, Exception):
                raise answer
        except STORE_ERRORS as error:
            self._breaker.failed()
            raise LedgerDown(f"{name}: {type(error).__name__}") from error
        except StoreDown as error:
            raise LedgerDown(str(error)) from error
        self._breaker.worked()
        return answer

    async def _ask_all(self, calls: Sequence[_Call]) -> list[list[str] | Exception]:
        """One trip to the store for all, and two more if it does not know the functions yet."""
        answers = await self._send(calls)
        strange = [n for n, answer in enumerate(answers) if "Function not found" in str(answer)]
        if strange:
            await self.load()
            again = await self._send([calls[n] for n in strange])
            for n, answer in zip(strange, again, strict=True):
                answers[n] = answer
        return answers

    async def _send(self, calls: Sequence[_Call]) -> list[list[str] | Exception]:
        pipe = self._client.pipeline(transaction=False)
        for function, start, args in calls:
            pipe.fcall(function, 1, start + "epoch", start, *args)
        return list(await self._within(pipe.execute(raise_on_error=False)))

    async def _within(self, asked: Awaitable[Any]) -> Any:
        """What the store says in its time. The client of a cluster is left alone with it: to find
        out which node has replaced one that is gone takes longer than an answer may."""
        if isinstance(self._client, redis.asyncio.RedisCluster):
            return await asked
        async with Patience(self._seconds):
            return await asked


@cache
def functions() -> tuple[str, str]:
    """The code of ledger.lua, and the version that stands in the names of its library and
    functions: that of their meaning, and a digest, so that no two codes share a name."""
    code = (resources.files("unabridged.proxy") / "ledger.lua").read_text(encoding="utf-8")
    version = f"v1_{hashlib.sha256(code.encode()).hexdigest()[:8]}"
    return code.replace("_v1", f"_{version}"), version


def _fresh() -> str:
    """The name of a generation that may begin."""
    return unique()[:16]


def _org(hold: Hold) -> str:
    return hold.entry.scopes.org


def _key(counter: Counter) -> str:
    return f"{prefix(counter.org)}c:{counter.id}"


def _lifetime(counter: Counter) -> int:
    """Milliseconds; 0: for ever."""
    if counter.window.end_ms is None:
        return 0
    return counter.window.end_ms - counter.window.start_ms + GRACE_MS


def _lost(entry: Entry) -> Entry:
    """What the ledger will say if nobody settles: the reservation, and no cost."""
    return replace(entry, basis="lost", nano_usd=None)


def _levels(counters: Sequence[Counter], values: Sequence[str]) -> tuple[Level, ...]:
    return tuple(
        Level(counter=c, used=int(values[2 * n]), reserved=int(values[2 * n + 1]))
        for n, c in enumerate(counters)
    )


def _known(counters: Sequence[Counter], values: Sequence[str]) -> tuple[Level, ...]:
    """Of those that the store has."""
    known = [c for n, c in enumerate(counters) if values[2 * n]]
    return _levels(known, [value for value in values if value])


def _refused(claims: Sequence[Claim], values: Sequence[str]) -> Refused:
    short = tuple(claims[int(n)] for n in values[::3])
    flat = [value for n in range(0, len(values), 3) for value in values[n + 1 : n + 3]]
    return Refused(claims=short, levels=_levels([c.counter for c in short], flat))
