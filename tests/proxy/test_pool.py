"""The pool of connections, on a real server."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from test_http1 import LOOPS

from unabridged.proxy.http1 import Broken, Outgoing
from unabridged.proxy.pool import NoneFree, NotAccepted, Pool

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Ask = Callable[[], Awaitable[bytes]]
ROOM: dict[str, Any] = {"most": 50, "most_idle": 50, "idle_seconds": 5.0}


class Upstream:
    """Answers when it is let to."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[None] = asyncio.Queue()
        self.let = asyncio.Event()
        self.let.set()
        self.open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.came.put_nowait(None)
                await self.let.wait()
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.open.discard(writer)
        finally:
            writer.close()


def asking(pool: Pool, **seconds: float) -> Ask:
    seconds = {"connect_seconds": 5.0, "first_byte_seconds": 5.0, **seconds}

    async def ask() -> bytes:
        connection = await pool.ask(Outgoing("GET", b"/", [(b"host", b"here")]), **seconds)
        body = b""
        while piece := await connection.piece(5):
            body += piece
        pool.give(connection)
        return body

    return ask


def with_upstream(told: Callable[[Upstream, Pool, Ask], Awaitable[None]], **limits: float) -> None:
    async def inside() -> None:
        upstream = Upstream()
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            given: dict[str, Any] = {**ROOM, **limits}
            pool = Pool("127.0.0.1", port, tls=None, **given)
            try:
                await asyncio.wait_for(told(upstream, pool, asking(pool)), 10)
            finally:
                await pool.close()

    asyncio.run(inside())


async def busy(upstream: Upstream, ask: Ask, count: int) -> None:
    """So many requests at once."""
    upstream.came = asyncio.Queue()
    upstream.let.clear()
    asked = [asyncio.ensure_future(ask()) for _ in range(count)]
    for _ in range(count):
        await upstream.came.get()
    upstream.let.set()
    assert await asyncio.gather(*asked) == [b"ok"] * count


def test_requests_one_after_the_other_share_a_connection() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Ask) -> None:
        for _ in range(20):
            assert await ask() == b"ok"
        assert len(upstream.open) == len(pool) == 1

    with_upstream(told)


def test_requests_at_once_have_a_connection_each_and_share_them_later() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Ask) -> None:
        for _ in range(3):
            await busy(upstream, ask, 20)
        assert len(upstream.open) == len(pool) == 20

    with_upstream(told)


def test_who_waits_for_a_connection_gets_the_one_that_becomes_free() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Ask) -> None:
        assert await asyncio.gather(*(ask() for _ in range(20))) == [b"ok"] * 20
        assert len(upstream.open) == len(pool) == 2

    with_upstream(told, most=2)


def test_who_waits_too_long_is_told_and_who_leaves_takes_no_turn_along() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Ask) -> None:
        upstream.let.clear()
        first = asyncio.ensure_future(ask())
        await upstream.came.get()
        with pytest.raises(NoneFree):
            await asking(pool, connect_seconds=0.05)()
        leaving = [asyncio.ensure_future(ask()) for _ in range(5)]
        await asyncio.sleep(0.05)
        for each in leaving:
            each.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        upstream.let.set()
        assert await first == b"ok"
        assert await ask() == b"ok"

    with_upstream(told, most=1)


def test_idle_connections_above_the_limit_are_closed_as_their_answers_end() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Ask) -> None:
        await busy(upstream, ask, 20)
        assert len(pool) == 5

    with_upstream(told, most_idle=5)


def test_connections_that_rest_for_too_long_are_closed() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Ask) -> None:
        await busy(upstream, ask, 5)
        assert len(pool) == 5
        await asyncio.sleep(0.5)
        assert len(pool) == 0
        assert await ask() == b"ok"

    with_upstream(told, idle_seconds=0.1)


def test_a_connection_that_the_upstream_closed_is_not_used_again() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Ask) -> None:
        await busy(upstream, ask, 3)
        for writer in upstream.open:
            writer.close()
        await asyncio.sleep(0.05)
        assert await ask() == b"ok"
        assert len(pool) == 1

    with_upstream(told)


def test_an_answer_that_was_left_half_read_takes_its_connection_with_it() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Ask) -> None:
        await busy(upstream, ask, 3)
        upstream.let.clear()
        with pytest.raises(TimeoutError):
            await asking(pool, first_byte_seconds=0.05)()
        assert len(pool) == 2
        gone = asyncio.ensure_future(ask())
        await asyncio.sleep(0.05)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert len(pool) == 1
        upstream.let.set()
        assert await asyncio.gather(*(ask() for _ in range(3))) == [b"ok"] * 3

    with_upstream(told, most=3)


def test_nobody_listening_is_told_and_takes_no_turn_along() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Ask) -> None:
        nobody = Pool("127.0.0.1", 1, tls=None, most=1, most_idle=1, idle_seconds=1)
        for _ in range(3):
            with pytest.raises(Broken, match="ConnectionRefusedError"):
                await asking(nobody)()
        nowhere = Pool("a..b", 1, tls=None, most=1, most_idle=1, idle_seconds=1)
        for _ in range(3):
            with pytest.raises(Broken):
                await asking(nowhere)()

    with_upstream(told)


def test_a_server_that_does_not_accept_is_told() -> None:
    async def inside() -> None:
        loop = asyncio.get_running_loop()
        # Listens, and never greets, as TLS has it.
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            tls = ssl.create_default_context()
            pool = Pool("127.0.0.1", port, tls=tls, most=1, most_idle=1, idle_seconds=1)
            for _ in range(2):
                with pytest.raises(NotAccepted):
                    await asking(pool, connect_seconds=0.05)()
            await pool.close()

    asyncio.run(inside())


def test_a_name_with_several_addresses_is_reached_at_any_of_them() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Ask) -> None:
        loop = asyncio.get_running_loop()
        found = loop.getaddrinfo

        async def two(host: str, port: int, **given: Any) -> Any:
            # Nobody listens at the first.
            return [*await found("127.0.0.2", 1, **given), *await found(host, port, **given)]

        loop.getaddrinfo = two  # type: ignore[method-assign, assignment]
        assert await ask() == b"ok"

    with_upstream(told)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """For the name localhost, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "both.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


@pytest.mark.parametrize("run", LOOPS)
@pytest.mark.parametrize(
    "host, trusted", [("localhost", True), ("127.0.0.1", True), ("localhost", False)]
)
def test_over_tls_the_certificate_is_looked_at(
    certificate: Path, host: str, trusted: bool, run: Callable[[Any], None]
) -> None:
    async def inside() -> None:
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(certificate)
        server = await asyncio.start_server(Upstream().serve, "127.0.0.1", 0, ssl=serving)
        async with server:
            port = server.sockets[0].getsockname()[1]
            tls = ssl.create_default_context(cafile=str(certificate) if trusted else None)
            pool = Pool(host, port, tls=tls, most=2, most_idle=1, idle_seconds=5)
            if trusted and host == "localhost":
                for _ in range(3):
                    assert await asking(pool)() == b"ok"
                assert len(pool) == 1
            else:
                with pytest.raises(Broken, match="SSLCertVerificationError"):
                    await asking(pool)()
            await pool.close()

    run(inside())
