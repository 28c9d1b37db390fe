"""Bytes are kept for their lifetime; a store that fails is left alone for a while."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from unabridged.proxy.cache import (
    FAILURES,
    REST_SECONDS,
    Breaker,
    Cache,
    MemoryCache,
    RedisCache,
    StoreDown,
)
from unabridged.proxy.store import EmbeddedStore
from unabridged.proxy.store_client import connect


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path_factory.mktemp("store"))
    store.start()
    yield store
    store.stop()


@pytest.fixture(params=["memory", "valkey"])
def cache(request: pytest.FixtureRequest, embedded: EmbeddedStore) -> Cache:
    if request.param == "memory":
        return MemoryCache()
    connect(embedded.url, timeout_ms=500).flushall()
    return RedisCache(connect(embedded.url, timeout_ms=500), Breaker())


def test_what_is_put_can_be_got_in_any_order(cache: Cache) -> None:
    cache.put({"a": b"1", "b": b"\x00\xff"}, seconds=9)
    assert cache.get(["b", "c", "a"]) == [b"\x00\xff", None, b"1"]


def test_a_value_goes_with_its_lifetime(cache: Cache) -> None:
    cache.put({"a": b"1"}, seconds=1)
    time.sleep(1.1)
    assert cache.get(["a"]) == [None]


def test_a_key_is_claimed_by_one_until_its_time_is_over(cache: Cache) -> None:
    assert cache.claim("k", seconds=0.1)
    assert not cache.claim("k", seconds=0.1)
    time.sleep(0.15)
    assert cache.claim("k", seconds=0.1)


def test_a_full_memory_drops_what_was_not_used_for_longest() -> None:
    cache = MemoryCache(max_bytes=10)
    cache.put({"a": b"12345"}, seconds=9)
    cache.put({"b": b"12345"}, seconds=9)
    cache.get(["a"])
    cache.put({"c": b"1"}, seconds=9)
    assert cache.get(["a", "b", "c"]) == [b"12345", None, b"1"]


def test_the_breaker_opens_rests_and_tries_again() -> None:
    now = [0.0]
    rested: list[int] = []
    breaker = Breaker(clock=lambda: now[0], on_rest=lambda: rested.append(1))
    for _ in range(FAILURES - 1):
        breaker.admit()
        breaker.failed()
    breaker.admit()
    assert rested == []
    breaker.failed()
    assert (breaker.open, rested) == (True, [1])
    with pytest.raises(StoreDown):
        breaker.admit()
    now[0] = REST_SECONDS + 0.1
    breaker.admit()  # one may try
    with pytest.raises(StoreDown):
        breaker.admit()  # and nobody else meanwhile
    breaker.worked()
    breaker.admit()
    assert not breaker.open


def test_one_success_forgets_the_failures_before_it() -> None:
    breaker = Breaker()
    for _ in range(3 * FAILURES):
        breaker.failed()
        breaker.worked()
    assert not breaker.open


def test_a_store_that_is_not_there_fails_fast_and_then_is_not_asked_at_all() -> None:
    cache = RedisCache(connect("unix:///nowhere/at/all.sock", timeout_ms=75), Breaker())
    for _ in range(FAILURES + 1):
        with pytest.raises(StoreDown):
            cache.get(["a"])
    start = time.perf_counter()
    for _ in range(1000):
        with pytest.raises(StoreDown):
            cache.get(["a"])
    assert time.perf_counter() - start < 0.2


def test_a_store_that_accepts_and_never_answers_costs_one_timeout(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        cache = RedisCache(connect(f"unix://{tmp_path}/silent.sock", timeout_ms=75), Breaker())
        start = time.perf_counter()
        with pytest.raises(StoreDown):
            cache.get(["a"])
        assert 0.05 < time.perf_counter() - start < 0.4


def test_a_list_never_grows_past_its_limit(embedded: EmbeddedStore) -> None:
    cache = RedisCache(connect(embedded.url, timeout_ms=500), Breaker())
    for n in range(5):
        cache.push("list", [f"{n}a", f"{n}b"], most=3)
    assert cache.newest("list", 10) == ["4b", "4a", "3b"]
