"""Nothing is left behind by clients that leave, streams that crawl, and hours of both."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Proxy
from fake_upstream import DONE, FakeUpstream, Hang, Reply, completion, delta, events

Serve = Callable[..., Proxy]
SOAK_SECONDS = float(os.environ.get("UNABRIDGED_SOAK_SECONDS", "20"))
ASKED = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Who?"}]}).encode()
STREAM = json.dumps({"model": "m", "messages": [], "stream": True}).encode()


def request(body: bytes) -> bytes:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


async def ask(proxy: Proxy, body: bytes = ASKED) -> bytes:
    """The whole answer to one request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(request(body).replace(b"Host:", b"Connection: close\r\nHost:"))
    got = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return got


async def leave(proxy: Proxy, rng: random.Random) -> None:
    """Goes away in the middle of sending, waiting or reading."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    whole = request(rng.choice((ASKED, STREAM)))
    kind = rng.randrange(3)
    writer.write(whole[: rng.randrange(len(whole))] if kind == 0 else whole)
    if kind == 2:
        await asyncio.wait_for(reader.read(64), 20)
    else:
        await asyncio.sleep(rng.random() * 0.01)
    writer.transport.abort()


def resident() -> int:
    """Bytes of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def pool(proxy: Proxy) -> Any:
    return proxy.app.exchange.upstreams.members["default"].upstream._way


def settled(proxy: Proxy, seconds: float = 5.0) -> int:
    """Connections to the upstream that are in use, once nobody asks any more."""
    end = time.monotonic() + seconds
    while busy := pool(proxy).busy:
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return busy


def test_two_connections_survive_five_hundred_clients_that_leave(
    upstream: FakeUpstream, serve: Serve
) -> None:
    proxy = serve(policy="off")
    pool(proxy)._turns = asyncio.Semaphore(2)
    rng = random.Random(1)

    def by_turns(seen: Any) -> Reply:
        slow = [delta("a"), 0.002] * 5
        return rng.choice((completion("Hello."), events(*slow, DONE), events(delta("a"), Hang)))

    async def work() -> None:
        for _ in range(25):
            await asyncio.gather(*(leave(proxy, rng) for _ in range(20)), return_exceptions=True)

    upstream.reply(by_turns)
    asyncio.run(work())
    assert settled(proxy) == 0
    assert len(pool(proxy)) <= 2
    upstream.reply(completion("Hello."))
    assert b"Hello." in asyncio.run(ask(proxy))
    assert "Traceback" not in proxy.log.getvalue()


def streams_at_once(upstream: FakeUpstream, proxy: Proxy, count: int) -> int:
    """Bytes of memory that so many slow streams take, both sides of this test included."""
    upstream.reply(events(*[delta("word "), 0.2] * 10, DONE))
    before = resident()
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, resident() - before)
            await asyncio.sleep(0.1)

    async def work() -> list[bytes]:
        watching = asyncio.create_task(watch())
        try:
            return await asyncio.gather(*(ask(proxy, STREAM) for _ in range(count)))
        finally:
            watching.cancel()

    answers = asyncio.run(work())
    odd = [each for each in answers if each.count(b"word ") != 10 or b"[DONE]" not in each]
    assert not odd, f"{len(odd)} of {count}, the first: {odd[0][:400]!r}"
    assert settled(proxy) == 0
    return most


def test_slow_streams_at_once_take_little_memory(upstream: FakeUpstream, serve: Serve) -> None:
    assert streams_at_once(upstream, serve(), 100) < 30 * 2**20


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_thousand_slow_streams_take_little_memory(upstream: FakeUpstream, serve: Serve) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    try:
        # 150 kB for a stream: the proxy's share, the upstream's and the client's.
        assert streams_at_once(upstream, serve(), 1000) < 150 * 2**20
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
@pytest.mark.timeout(60 + 2 * SOAK_SECONDS)
def test_memory_and_files_stay_flat(upstream: FakeUpstream, serve: Serve) -> None:
    proxy = serve()
    rng = random.Random(3)

    def by_turns(seen: Any) -> Reply:
        upstream.seen.clear()
        upstream.left.clear()
        upstream.unfinished.clear()
        return completion("Hello.") if b"stream" not in seen.body else events(delta("a"), DONE)

    async def a_while(seconds: float) -> int:
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            some = [ask(proxy, rng.choice((ASKED, STREAM))) for _ in range(8)]
            await asyncio.gather(*some, leave(proxy, rng), return_exceptions=True)
            count += 8
            proxy.log.seek(0)
            proxy.log.truncate()
        return count

    upstream.reply(by_turns)
    # What is settled is remembered for half a minute: until then memory grows with the requests.
    asyncio.run(a_while(min(SOAK_SECONDS, 40)))
    gc.collect()
    memory, files = resident(), open_files()
    assert asyncio.run(a_while(SOAK_SECONDS)) > 100
    gc.collect()
    assert settled(proxy) == 0
    assert resident() - memory < 20 * 2**20
    assert open_files() <= files + 10
