"""The pool of connections, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpcore2

from unabridged.proxy.pool import Pool

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


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


def with_upstream(
    told: Callable[[Upstream, Pool, Callable[[], Awaitable[bytes]]], Awaitable[None]],
    **limits: float,
) -> None:
    async def inside() -> None:
        upstream = Upstream()
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with server, Pool(**limits) as pool:  # type: ignore[arg-type]

            async def ask() -> bytes:
                response = await pool.handle_async_request(
                    httpcore2.Request("GET", url, headers=[(b"host", b"here")])
                )
                body = await response.aread()
                await response.aclose()
                return body

            await asyncio.wait_for(told(upstream, pool, ask), 10)

    asyncio.run(inside())


async def busy(upstream: Upstream, ask: Callable[[], Awaitable[bytes]], count: int) -> None:
    """So many requests at once."""
    upstream.came = asyncio.Queue()
    upstream.let.clear()
    asking = [asyncio.ensure_future(ask()) for _ in range(count)]
    for _ in range(count):
        await upstream.came.get()
    upstream.let.set()
    assert await asyncio.gather(*asking) == [b"ok"] * count


def test_requests_one_after_the_other_share_a_connection() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Callable[[], Awaitable[bytes]]) -> None:
        for _ in range(20):
            assert await ask() == b"ok"
        assert len(upstream.open) == len(pool.connections) == 1

    with_upstream(told, max_connections=10)


def test_requests_at_once_have_a_connection_each_and_share_them_later() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Callable[[], Awaitable[bytes]]) -> None:
        for _ in range(3):
            await busy(upstream, ask, 20)
        assert len(upstream.open) == len(pool.connections) == 20

    with_upstream(told, max_connections=50, max_keepalive_connections=50)


def test_a_request_does_not_look_through_the_connections_behind_a_free_one() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Callable[[], Awaitable[bytes]]) -> None:
        await busy(upstream, ask, 20)
        looked = []
        for number, connection in enumerate(pool.connections):
            expired = connection.has_expired

            def look(number: int = number, expired: Callable[[], bool] = expired) -> bool:
                looked.append(number)
                return expired()

            connection.has_expired = look  # type: ignore[method-assign]
        for _ in range(5):
            assert await ask() == b"ok"
        assert looked == [0] * 5

    with_upstream(told, max_connections=50, max_keepalive_connections=50)


def test_who_waits_for_a_connection_gets_the_one_that_becomes_free() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Callable[[], Awaitable[bytes]]) -> None:
        assert await asyncio.gather(*(ask() for _ in range(20))) == [b"ok"] * 20
        assert len(upstream.open) == len(pool.connections) == 2

    with_upstream(told, max_connections=2)


def test_idle_connections_above_the_limit_are_closed_as_their_answers_end() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Callable[[], Awaitable[bytes]]) -> None:
        await busy(upstream, ask, 20)
        assert len(pool.connections) == 5

    with_upstream(told, max_connections=50, max_keepalive_connections=5)


def test_a_connection_that_the_upstream_closed_is_not_used_again() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Callable[[], Awaitable[bytes]]) -> None:
        await busy(upstream, ask, 3)
        for writer in upstream.open:
            writer.close()
        await asyncio.sleep(0.05)
        assert await ask() == b"ok"
        assert len(pool.connections) == 1

    with_upstream(told, max_connections=10)


def test_an_answer_that_was_left_half_read_takes_its_connection_with_it() -> None:
    async def told(upstream: Upstream, pool: Pool, ask: Callable[[], Awaitable[bytes]]) -> None:
        await busy(upstream, ask, 3)
        (first, *_) = upstream.open
        host, port = first.get_extra_info("sockname")
        response = await pool.handle_async_request(
            httpcore2.Request("GET", f"http://{host}:{port}/", headers=[(b"host", b"here")])
        )
        await response.aclose()
        assert len(pool.connections) == 2

    with_upstream(told, max_connections=10)
