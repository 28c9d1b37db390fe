"""The embedded store starts, is shared, dies, and comes back; no request notices."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Proxy, fake_steps
from fake_upstream import FakeUpstream

from unabridged.compression.job import Job
from unabridged.compression.prompt import Compressed
from unabridged.proxy.cache import Breaker, RedisCache, StoreDown
from unabridged.proxy.shelf import OWNERS
from unabridged.proxy.store import BadSecret, EmbeddedStore, server_secret, store_url
from unabridged.proxy.store_client import connect

Serve = Callable[..., Proxy]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path)
    store.start()
    yield store
    store.stop()


def cache_of(store: EmbeddedStore) -> RedisCache:
    return RedisCache(connect(store.url, timeout_ms=500), Breaker())


def test_what_is_put_is_there_after_a_restart(store: EmbeddedStore) -> None:
    cache_of(store).put({"a": b"1"}, seconds=60)
    store.stop()
    store.start()
    assert cache_of(store).get(["a", "b"]) == [b"1", None]


def test_a_second_process_uses_the_server_that_runs_and_leaves_it_running(
    store: EmbeddedStore, tmp_path: Path
) -> None:
    second = EmbeddedStore(tmp_path)
    second.start()
    assert second.pid is None
    second.stop()
    cache_of(store).ping()


def test_the_store_is_for_its_owner_only(store: EmbeddedStore, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "store" / "store.sock").stat().st_mode) == 0o700


def test_a_long_path_of_the_state_directory_does_no_harm(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / ("x" * 120))
    store.start()
    try:
        cache_of(store).ping()
    finally:
        store.stop()


def test_a_killed_server_is_started_again_with_what_it_held(store: EmbeddedStore) -> None:
    cache_of(store).put({"a": b"1"}, seconds=60)
    assert store.pid is not None
    os.kill(store.pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while True:
        store.revive()
        try:
            assert cache_of(store).get(["a"]) == [b"1"]
            return
        except StoreDown:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_the_configured_store_wins_over_the_environment() -> None:
    from unabridged.policies.config import Store

    assert store_url(Store(url="redis://a"), {"REDIS_URL": "redis://b"}) == "redis://a"
    assert store_url(Store(), {"REDIS_URL": "redis://b"}) == "redis://b"
    assert store_url(Store(), {}) is None


def test_the_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    first = server_secret(tmp_path / "new", {})
    assert len(first) == 32
    assert server_secret(tmp_path / "new", {}) == first
    assert stat.S_IMODE((tmp_path / "new" / "secret").stat().st_mode) == 0o600
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["secret"]


def test_processes_that_start_together_get_one_secret(tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(server_secret(tmp_path, {}))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize("text", ["z" * 64, "ab" * 10, "é" * 64, ""])
def test_a_damaged_secret_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text(text, encoding="utf-8")
    with pytest.raises(BadSecret, match="secret is damaged"):
        server_secret(tmp_path, {})


def test_a_secret_from_the_environment_must_be_long(tmp_path: Path) -> None:
    given = {"UNABRIDGED_SECRET": "s" * 32}
    assert server_secret(tmp_path, given) == server_secret(tmp_path / "elsewhere", given)
    with pytest.raises(BadSecret, match="at least 32"):
        server_secret(tmp_path, {"UNABRIDGED_SECRET": "short"})


def counting_compress(calls: list[str]) -> Callable[..., Compressed]:
    """Keeps the first half of every text, by way of the cache."""

    def compress(prompt: Any, plan: Any, policy: Any, count: Any, *, run: Any, **_: Any) -> Any:
        del count
        kept = []
        for segment, grant in zip(prompt.segments, plan.grants, strict=True):
            job = Job(segments=(segment,), question="", tokens=grant, count=len, policy=policy)
            kept.append(run("off", job).kept[0][0][1] // 2)
        return Compressed(
            prompt=prompt,
            kept=tuple(((0, n),) for n in kept),
            why=("first half",) * len(kept),
            tokens_before=tuple(len(s.text) for s in prompt.segments),
            tokens_after=tuple(kept),
        )

    return compress


def ask(proxy: Proxy, n: int = 0) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": f"{n:04}" * 50}]}
    got = httpx.post(proxy.url + "/chat/completions", json=body, timeout=10)
    assert got.status_code == 200
    return got


def test_a_second_request_is_served_from_the_store_and_so_is_one_after_a_restart(
    upstream: FakeUpstream, serve: Serve
) -> None:
    steps = fake_steps(compress=counting_compress([]))
    proxy = serve(steps=steps)
    assert [ask(proxy).headers["x-unabridged-cache"] for _ in range(2)] == ["miss", "hit"]
    assert ask(serve(steps=steps)).headers["x-unabridged-cache"] == "hit"
    assert len({s.body for s in upstream.seen}) == 1


def test_killing_the_store_in_mid_load_stops_no_request_and_hits_come_back(
    upstream: FakeUpstream, serve: Serve, tmp_path: Path
) -> None:
    proxy = serve(steps=fake_steps(compress=counting_compress([])))
    seen: list[tuple[float, str]] = []
    stop = threading.Event()

    def load() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            use = ask(proxy, n % 5).headers["x-unabridged-cache"]
            seen.append((time.monotonic(), use))

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    pid = int(
        connect(EmbeddedStore(tmp_path / "state").url, timeout_ms=500).info("server")["process_id"]
    )
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    end = killed + 15
    while not any(at > killed + 0.5 and use == "hit" for at, use in list(seen)):
        assert time.monotonic() < end, "no hit came back"
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    uses = {use for at, use in seen if killed <= at}
    assert "hit" in {use for at, use in seen if at < killed}
    assert "store-down" in uses


def test_receipts_are_shared_through_the_store(
    upstream: FakeUpstream, serve: Serve, tmp_path: Path
) -> None:
    import json

    from unabridged.proxy.store import RECEIPTS

    proxy = serve(steps=fake_steps())
    ask(proxy)
    store = cache_of(EmbeddedStore(tmp_path / "state"))
    end = time.monotonic() + 3
    while not (lines := store.newest(RECEIPTS, 10)):
        assert time.monotonic() < end
        time.sleep(0.01)
    record = json.loads(lines[0])
    assert (record["policy"], record["before"], record["got"]) == ("fake", 200, 100)
    assert "0000" * 10 not in lines[0]


def test_no_text_of_a_prompt_is_in_the_store(
    upstream: FakeUpstream, serve: Serve, tmp_path: Path
) -> None:
    proxy = serve(steps=fake_steps(compress=counting_compress([])))
    body = {"messages": [{"role": "user", "content": "Geheimnis " * 50}], "user": "sk-secret"}
    httpx.post(proxy.url + "/chat/completions", json=body)
    raw = connect(EmbeddedStore(tmp_path / "state").url, timeout_ms=500)
    end = time.monotonic() + 3
    while OWNERS.encode() not in (keys := raw.keys("*")):
        assert time.monotonic() < end, "nothing was remembered"
        time.sleep(0.01)
    held = b"".join(keys)
    for key in keys:
        held += raw.dump(key)
    assert b"Geheimnis" not in held
    assert b"sk-secret" not in held
