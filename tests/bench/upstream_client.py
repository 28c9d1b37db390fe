"""What a request to an upstream costs by our client, by httpcore2's and by aiohttp's.

    python tests/bench/upstream_client.py [--requests 5000] [--rounds 3]

One upstream that answers at once (mock_upstream.py), requests of 1 kB one after the other on a
connection that stays open, under uvloop; the clients in turn. Microseconds for a request: of this
process' CPU, and of time.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import httpcore2
import uvloop
import yarl
from overhead import await_port, stop

from unabridged.policies.config import Upstream
from unabridged.proxy.upstream import Call, HttpUpstream

PORT = 9312
URL = f"http://127.0.0.1:{PORT}/v1"
PATH = "/chat/completions"
BODY = b'{"model": "gpt-4o-mini", "messages": []}'.ljust(1000)
HEADERS = [
    (b"Host", f"127.0.0.1:{PORT}".encode()),
    (b"Authorization", b"Bearer sk-test"),
    (b"Content-Type", b"application/json"),
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"gzip, deflate"),
    (b"User-Agent", b"OpenAI/Python 2.54.0"),
    (b"X-Stainless-Lang", b"python"),
    (b"Content-Length", b"1000"),
]
One = Callable[[], Awaitable[bytes]]


async def ours(measure: Callable[[str, One], Awaitable[None]]) -> None:
    upstream = HttpUpstream("default", Upstream(url=URL))
    call = Call(method="POST", target=PATH.encode(), headers=HEADERS, body=BODY)

    async def one() -> bytes:
        return (await upstream.send(call)).body

    await measure("ours", one)
    await upstream.close()


async def by_httpcore2(measure: Callable[[str, One], Awaitable[None]]) -> None:
    async with httpcore2.AsyncConnectionPool() as pool:

        async def one() -> bytes:
            request = httpcore2.Request("POST", URL + PATH, headers=HEADERS, content=BODY)
            answer = await pool.handle_async_request(request)
            try:
                return await answer.aread()
            finally:
                await answer.aclose()

        await measure("httpcore2", one)


async def by_aiohttp(measure: Callable[[str, One], Awaitable[None]]) -> None:
    url = yarl.URL(URL + PATH, encoded=True)
    headers = [(name.decode(), value.decode()) for name, value in HEADERS[1:]]
    async with aiohttp.ClientSession(
        auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def one() -> bytes:
            async with session.post(url, data=BODY, headers=headers) as answer:
                return await answer.read()

        await measure("aiohttp", one)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def all_of_them(requests: int, rounds: int) -> None:
    async def measure(name: str, one: One) -> None:
        for _ in range(300):
            assert b"forty-two" in await one()
        used, start = cpu(), time.perf_counter()
        for _ in range(requests):
            await one()
        took = time.perf_counter() - start
        print(f"| {name} | {(cpu() - used) / requests * 1e6:.0f} | {took / requests * 1e6:.0f} |")

    print("| client | CPU | time |\n|---|---|---|")
    for _ in range(rounds):
        for client in (ours, by_httpcore2, by_aiohttp):
            await client(measure)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ask.add_argument("--requests", type=int, default=5000)
    ask.add_argument("--rounds", type=int, default=3)
    said = ask.parse_args()
    mock = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "mock_upstream.py"), "--port", str(PORT)],
        stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        await_port(PORT, mock)
        uvloop.run(all_of_them(said.requests, said.rounds))
    finally:
        stop(mock)


if __name__ == "__main__":
    main()
