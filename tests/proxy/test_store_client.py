"""One server or a cluster: the same ledger, cache and proxy, on real nodes."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from conftest import fake_steps
from fake_upstream import FakeUpstream
from ledger_world import ALICE, NOW, World, cost, hold, world
from store_cluster import (
    SLOTS,
    Node,
    StoreCluster,
    knows,
    meet,
    replicates,
    running_cluster,
    running_node,
    wait_for,
)

from unabridged.compression.once import once
from unabridged.policies.budget import Budget
from unabridged.proxy.cache import Breaker, RedisCache, StoreDown
from unabridged.proxy.database import entries
from unabridged.proxy.journal import ORGS
from unabridged.proxy.ledger import LedgerDown, Refused, Reserved, counters
from unabridged.proxy.redis_ledger import prefix
from unabridged.proxy.shelf import Shelves
from unabridged.proxy.store_client import BadStoreUrl, close, connect, connect_async

ORG = Budget(name="org", window="total", limit="1")
USER = Budget(name="user", each="user", window="month", limit="0.6")
CENT = 10_000_000
COMPANIES = ["acme", "börse", "zoo", "한국", "e{v}il"]


@pytest.fixture(scope="module")
def running() -> Iterator[StoreCluster]:
    with running_cluster() as found:
        yield found


@pytest.fixture
def cluster(running: StoreCluster) -> StoreCluster:
    running.flush()
    return running


@pytest.fixture
def run(cluster: StoreCluster, tmp_path: Path) -> Callable[..., Any]:
    """Runs a test's coroutine with a world of its own on the cluster."""

    def go(told: Callable[[World], Awaitable[Any]]) -> Any:
        async def inside() -> Any:
            async with world(cluster.url, f"sqlite:///{tmp_path}/books.db") as ours:
                return await told(ours)

        return asyncio.run(inside())

    return go


async def levels(ours: World, budgets: list[Budget], org: str = "acme") -> list[tuple[int, int]]:
    found = await ours.ledger.read(counters(budgets, replace(ALICE, org=org), NOW))
    return [(level.spent, level.reserved) for level in found]


def lines(ours: World) -> list[tuple[str, str, int | None]]:
    query = sa.select(entries.c.org, entries.c.basis, entries.c.nano_usd)
    with ours.engine.connect() as connection:
        return sorted((row.org, row.basis, row.nano_usd) for row in connection.execute(query))


def shelves(cluster: StoreCluster) -> Shelves:
    return Shelves(RedisCache(connect(cluster.url, timeout_ms=2000), Breaker()), b"s" * 32)


def test_organisations_on_all_nodes_are_reserved_refused_charged_and_copied(
    run: Any, cluster: StoreCluster
) -> None:
    async def told(ours: World) -> None:
        async def spend(org: str) -> None:
            who = replace(ALICE, org=org)
            held = hold([ORG, USER], 40 * CENT, scopes=who)
            assert isinstance(await ours.ledger.reserve(held), Reserved)
            assert isinstance(
                await ours.ledger.reserve(hold([USER], 21 * CENT, scopes=who)), Refused
            )
            await ours.ledger.settle(held, cost(held, 15 * CENT))
            await ours.ledger.settle(held, cost(held, 15 * CENT))

        await asyncio.gather(*map(spend, COMPANIES))
        for org in COMPANIES:
            assert await levels(ours, [ORG, USER], org) == [(15 * CENT, 0)] * 2
        assert await ours.journal.round() == len(COMPANIES)
        assert lines(ours) == [(org, "measured", 15 * CENT) for org in sorted(COMPANIES)]
        assert await ours.journal.round() == 0

    run(told)
    nodes = cluster.held()
    for org in COMPANIES:
        holding = [keys for keys in nodes if any(key.startswith(prefix(org)) for key in keys)]
        assert len(holding) == 1, "all keys of one organisation are on one node"
    used = [keys for keys in nodes if any(key != ORGS for key in keys)]
    assert len(used) == 3, "the test reaches every node"


def test_a_step_takes_one_round_trip_in_a_cluster_too(run: Any, cluster: StoreCluster) -> None:
    async def told(ours: World) -> None:
        await ours.ledger.read(counters([ORG], ALICE, NOW))
        asked, steps = cluster.calls("command|getkeys"), cluster.calls("fcall")
        for _ in range(5):
            await ours.ledger.reserve(hold([ORG], CENT))
        assert cluster.calls("command|getkeys") == asked
        assert cluster.calls("fcall") == steps + 5

    run(told)
    shelf = shelves(cluster).of("acme")
    shelf.put({"a": b"1"}, seconds=9)
    asked = cluster.calls("command|getkeys")
    assert shelf.get(["a"]) == [b"1"]
    assert cluster.calls("command|getkeys") == asked


def test_in_a_cluster_a_lease_runs_out_by_itself(run: Any) -> None:
    async def told(ours: World) -> None:
        held = hold([ORG, USER], 40 * CENT, lease_ms=30)
        await ours.ledger.reserve(held)
        assert await levels(ours, [ORG]) == [(0, 40 * CENT)]
        await asyncio.sleep(0.06)
        assert await levels(ours, [ORG, USER]) == [(0, 0)] * 2
        await ours.journal.round()
        assert lines(ours) == [("acme", "lost", None)]

    run(told)


def test_after_a_flush_of_all_nodes_the_counters_are_rebuilt(
    run: Any, cluster: StoreCluster
) -> None:
    async def told(ours: World) -> None:
        for org in COMPANIES:
            held = hold([ORG, USER], 50 * CENT, scopes=replace(ALICE, org=org))
            await ours.ledger.reserve(held)
            await ours.ledger.settle(held, cost(held, 45 * CENT))
        await ours.journal.round()
        cluster.flush()
        for org in COMPANIES:
            who = replace(ALICE, org=org)
            assert isinstance(
                await ours.ledger.reserve(hold([USER], 16 * CENT, scopes=who)), Refused
            )
            assert await levels(ours, [ORG, USER], org) == [(45 * CENT, 0)] * 2

    run(told)


def test_a_hundred_requests_at_once_never_pass_a_limit_in_a_cluster(run: Any) -> None:
    async def told(ours: World) -> None:
        asking = (ours.ledger.reserve(hold([ORG], 3 * CENT)) for _ in range(100))
        answers = await asyncio.gather(*asking)
        assert sum(isinstance(answer, Reserved) for answer in answers) == 33
        assert await levels(ours, [ORG]) == [(0, 99 * CENT)]

    run(told)


def test_the_ledger_goes_on_where_another_node_has_taken_over(tmp_path: Path) -> None:
    """First handed over in peace, then by force after a kill; the clients are the old ones."""

    async def told(cluster: StoreCluster, spare: Node, first: Node) -> None:
        async with world(cluster.url, f"sqlite:///{tmp_path}/books.db") as ours:

            async def spend() -> None:
                held = hold([ORG], 5 * CENT)
                while True:
                    try:
                        assert isinstance(await ours.ledger.reserve(held), Reserved)
                        await ours.ledger.settle(held, cost(held, 4 * CENT))
                        return
                    except LedgerDown:
                        await asyncio.sleep(0.05)

            cache = RedisCache(connect(cluster.url, timeout_ms=500), Breaker())

            def remember(value: bytes) -> None:
                end = time.monotonic() + 15
                while True:
                    try:
                        cache.put({"{acme}k": value}, seconds=60)
                        assert cache.get(["{acme}k"]) == [value]
                        return
                    except StoreDown:
                        assert time.monotonic() < end
                        time.sleep(0.05)

            await spend()
            remember(b"1")
            await ours.journal.round()
            spare.client.execute_command("CLUSTER FAILOVER")
            await asyncio.to_thread(wait_for, lambda: spare.client.role()[0] == "master")
            await spend()
            remember(b"2")
            assert await ours.journal.round() == 1
            await asyncio.to_thread(wait_for, lambda: replicates(first))
            spare.client.wait(1, 2000)
            spare.server.terminate()
            first.client.execute_command("CLUSTER FAILOVER TAKEOVER")
            async with asyncio.timeout(15):
                await spend()
            await asyncio.to_thread(remember, b"3")
            await ours.journal.round()
            assert await levels(ours, [ORG]) == [(12 * CENT, 0)]
            assert lines(ours) == [("acme", "measured", 4 * CENT)] * 3
            assert not ours.troubles

    with running_cluster() as cluster, running_node() as spare:
        slot = cluster.nodes[0].client.execute_command("CLUSTER KEYSLOT", prefix("acme"))
        first = cluster.nodes[3 * (slot + 1) // (SLOTS + 1)]
        meet(spare, first)
        wait_for(lambda: all(knows(node, 4) for node in (*cluster.nodes, spare)))
        spare.client.execute_command("CLUSTER REPLICATE", first.id)
        wait_for(lambda: replicates(spare))
        asyncio.run(told(cluster, spare, first))


def test_values_lists_and_claims_lie_on_any_node(cluster: StoreCluster) -> None:
    cache = RedisCache(connect(cluster.url, timeout_ms=2000), Breaker())
    names = [f"k{n}" for n in range(30)]
    cache.put({name: name.encode() for name in names}, seconds=9)
    assert cache.get([*names, "none"]) == [*(name.encode() for name in names), None]
    assert all(cluster.held()), "the test reaches every node"
    assert cache.claim("mine", seconds=5)
    assert not cache.claim("mine", seconds=5)
    cache.push("list", ["b", "a"], most=3)
    cache.push("list", ["d", "c"], most=3)
    assert cache.newest("list", 9) == ["c", "d", "a"]
    cache.ping()


def test_shelves_are_filled_counted_and_dropped_on_any_node(cluster: StoreCluster) -> None:
    ours, theirs = shelves(cluster), shelves(cluster)
    for owner in COMPANIES:
        ours.of(owner).put({"k": b"\x00" + owner.encode(), "l": b"2"}, seconds=9)
        ours.of(owner).count("rag", "plan")
    ours.beat()
    for owner in COMPANIES:
        assert theirs.of(owner).get(["k", "none"]) == [b"\x00" + owner.encode(), None]
    uses = theirs.uses()
    assert sorted(each.owner for each in uses) == sorted(COMPANIES)
    assert all(each.values == 2 and each.routes == {"rag": {"plan": 1}} for each in uses)
    assert theirs.of("acme").drop() == 2
    assert ours.of("acme").get(["k"]) == [None]
    assert ours.of("zoo").get(["l"]) == [b"2"]
    ours.close()


def test_in_a_cluster_many_who_want_one_value_compute_it_once(cluster: StoreCluster) -> None:
    calls, found = [], []

    def compute(_: Any) -> list[bytes]:
        calls.append(1)
        time.sleep(0.2)
        return [b"done"]

    def ask() -> None:
        # Each with clients of its own, as another process would have.
        shelf = shelves(cluster).of("acme")
        found.extend(once(shelf, ["k"], compute, lambda _, value: value, seconds=9))

    asking = [threading.Thread(target=ask) for _ in range(6)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert (len(calls), found) == (1, [b"done"] * 6)


def test_a_proxy_holds_a_budget_in_a_cluster(
    cluster: StoreCluster, upstream: FakeUpstream, serve: Any
) -> None:
    """A whole request: reserved, compressed, sent, charged; the next one is refused."""
    proxy = serve(
        money={"prices": {"m": {"input": 1000, "output": 1000}}, "assumed_output": 100},
        budgets=[{"name": "b", "window": "total", "limit": "0.15"}],
        store={"url": cluster.url, "timeout_ms": 2000},
        steps=fake_steps(),
    )
    asked = {"model": "m", "messages": [{"role": "user", "content": "0123456789" * 5}]}

    def ask() -> httpx.Response:
        return httpx.post(f"{proxy.url}/chat/completions", json=asked, timeout=30)

    for node in cluster.nodes:
        assert node.client.function_list(library="unabridged_ledger_*"), "known before it is needed"
    assert ask().status_code == 200
    assert len(upstream.seen) == 1
    (counter,) = [key for keys in cluster.held() for key in keys if ":c:" in key]
    end = time.monotonic() + 8
    while True:
        reader = connect(cluster.url, timeout_ms=2000)
        used, reserved = (int(value or 0) for value in reader.hmget(counter, "u", "r"))
        if not reserved:
            break
        assert time.monotonic() < end
        time.sleep(0.02)
    assert used == 2_000_000
    told = httpx.post(
        f"{proxy.url}/chat/completions", json={**asked, "max_tokens": 200}, timeout=30
    )
    assert told.status_code == 402
    assert json.loads(told.content)["error"]["metadata"]["budget"] == "b"
    assert len(upstream.seen) == 1


def test_a_cluster_that_is_away_is_told_as_such_and_does_not_stop_the_start() -> None:
    away = "redis+cluster://127.0.0.1:9"
    cache = RedisCache(connect(away, timeout_ms=50), Breaker())
    with pytest.raises(StoreDown):
        cache.get(["k"])

    async def told() -> None:
        async with world(away, "sqlite://", timeout_ms=200) as ours:
            with pytest.raises(LedgerDown):
                await ours.ledger.reserve(hold([ORG], CENT))

    asyncio.run(told())


@pytest.mark.parametrize("url", ["redis+cluster://h:1/2", "rediss+cluster://:secret@h:1?db=2"])
def test_a_cluster_has_no_other_database(url: str) -> None:
    for make in (connect, connect_async):
        with pytest.raises(BadStoreUrl, match=r"database 0 only, not 2: .*store\.url") as caught:
            make(url, timeout_ms=50)
        assert "secret" not in str(caught.value)


def test_a_cluster_without_a_node_is_named() -> None:
    with pytest.raises(BadStoreUrl, match="names one of its nodes"):
        connect("redis+cluster:///0", timeout_ms=50)


def test_tls_and_passwords_reach_every_node_of_a_cluster() -> None:
    client = connect_async("rediss+cluster://me:secret@h:7000/0", timeout_ms=50)
    (node,) = client.startup_nodes  # type: ignore[attr-defined]
    assert (node.host, node.port) == ("h", 7000)
    made = node.connection_kwargs
    assert (made["username"], made["password"]) == ("me", "secret")
    assert node.connection_class.__name__ == "SSLConnection"
    asyncio.run(close(client))
