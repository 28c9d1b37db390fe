"""Connections are used again, never more than allowed, and none is lost to whoever gives up."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
from fake_upstream import FakeUpstream

from unabridged.policies.config import Upstream
from unabridged.proxy.pool import ConnectSlow, NoneFree, Pool, Unreachable, environment_proxy
from unabridged.proxy.upstream import Call, HttpUpstream

T = TypeVar("T")


def using(fake: FakeUpstream, work: Callable[[Pool], Awaitable[T]], most: int = 2) -> T:
    async def main() -> T:
        pool = Pool(urlsplit(fake.url), most=most)
        try:
            async with asyncio.timeout(20):
                return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(main())


async def exchanged(pool: Pool, seconds: float = 5.0) -> bytes:
    connection = await pool.take(seconds)
    try:
        await connection.request(b"GET", b"/", [(b"Host", b"h")], b"")
        return b"".join([piece async for piece in connection.pieces(5)])
    finally:
        connection.leave()


def test_two_connections_carry_any_number_of_requests(upstream: FakeUpstream) -> None:
    async def work(pool: Pool) -> int:
        got = await asyncio.gather(*(exchanged(pool) for _ in range(50)))
        assert len(set(got)) == 1
        return pool.size

    assert using(upstream, work) == 2


def test_who_waits_too_long_is_told_and_takes_nothing(upstream: FakeUpstream) -> None:
    async def work(pool: Pool) -> None:
        taken = [await pool.take(1) for _ in range(2)]
        with pytest.raises(NoneFree):
            await pool.take(0.05)
        for connection in taken:
            connection._begin(b"GET")
            connection.leave()
        assert len(await asyncio.gather(*(exchanged(pool) for _ in range(4)))) == 4
        assert pool.size <= 2

    using(upstream, work)


def test_who_gives_up_waiting_passes_his_turn_on(upstream: FakeUpstream) -> None:
    async def work(pool: Pool) -> None:
        for _ in range(100):
            tasks = [asyncio.create_task(exchanged(pool)) for _ in range(6)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert sum(isinstance(each, bytes) for each in done) >= 3
        assert pool.size <= 2

    using(upstream, work)


def test_a_connection_that_the_other_side_closed_is_not_used(upstream: FakeUpstream) -> None:
    async def work(pool: Pool) -> None:
        await exchanged(pool)
        pool._idle[0]._transport.close()
        await asyncio.sleep(0.02)
        await exchanged(pool)
        assert pool.size == 1

    using(upstream, work)


def test_an_address_where_nobody_listens_is_told() -> None:
    async def work() -> None:
        with pytest.raises(Unreachable):
            await Pool(urlsplit("http://127.0.0.1:1/v1"), most=1).take(1)

    asyncio.run(work())


@contextlib.asynccontextmanager
async def http_proxy(seen: list[bytes], port: int, answer: bytes) -> AsyncIterator[int]:
    """A proxy that leads everything to one port of this machine."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                writer.write(piece)
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        if head.startswith(b"CONNECT"):
            writer.write(answer)
            if b" 200 " not in answer:
                return writer.close()
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        if not head.startswith(b"CONNECT"):
            up_writer.write(head)
        await asyncio.gather(copy(reader, up_writer), copy(up_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


CALL = Call(method="GET", target=b"/models", headers=[(b"Host", b"models.test")])
CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def test_the_machines_proxy_is_told_where_to(
    upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []

    async def work() -> int:
        async with http_proxy(seen, upstream.port, CONNECTED) as port:
            monkeypatch.setenv("http_proxy", f"http://me:pa%20ss@127.0.0.1:{port}")
            up = HttpUpstream("up", Upstream(url="http://models.test/v1"))
            try:
                return (await up.send(CALL)).status
            finally:
                await up.close()

    assert asyncio.run(work()) == 200
    assert seen[0].startswith(b"GET http://models.test/v1/models HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6cGEgc3M=" in seen[0]


def certificate(place: Path) -> tuple[Path, Path]:
    key, cert = place / "key.pem", place / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
         "-days", "2", "-subj", "/CN=models.test", "-addext", "subjectAltName=DNS:models.test"],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, cert


@pytest.mark.parametrize("answer", [CONNECTED, b"HTTP/1.1 407 Who are you\r\n\r\n"])
def test_tls_goes_through_a_tunnel_of_the_machines_proxy(
    answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, cert = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    seen: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        await writer.drain()

    async def work() -> bytes:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        async with http_proxy(seen, port, answer) as proxy_port:
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy_port}")
            up = HttpUpstream("up", Upstream(url="https://models.test/v1"))
            try:
                return (await up.send(CALL)).body
            finally:
                await up.close()
                server.close()

    if answer is CONNECTED:
        assert asyncio.run(work()) == b"hi"
        assert seen[0].startswith(b"CONNECT models.test:443 HTTP/1.1\r\n")
        assert seen[1].startswith(b"GET /v1/models HTTP/1.1\r\n")
    else:
        with pytest.raises(Exception, match="407"):
            asyncio.run(work())


def test_a_connection_that_takes_too_long_to_make_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        # It accepts the connection, and never answers in TLS.
        pool = Pool(urlsplit(f"https://127.0.0.1:{port}/v1"), most=1)
        with pytest.raises(ConnectSlow):
            await pool.take(0.1)
        assert pool.size == 0
        server.close()

    asyncio.run(work())


def test_loopback_never_goes_through_the_machines_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "proxy.test:3128")
    found = environment_proxy("http", "models.test")
    assert found is not None and (found.hostname, found.port) == ("proxy.test", 3128)
    assert environment_proxy("http", "127.0.0.1") is None
    assert environment_proxy("http", "localhost") is None
    monkeypatch.setenv("no_proxy", "models.test")
    assert environment_proxy("http", "models.test") is None
