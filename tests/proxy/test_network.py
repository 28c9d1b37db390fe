"""Plain connections by the event loop's own streams, told as httpcore2 expects it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpcore2
import pytest

from unabridged.proxy.network import Network

Served = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Told = Callable[[httpcore2.AsyncNetworkStream], Awaitable[None]]


def with_server(serve: Served, told: Told) -> None:
    async def inside() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            stream = await Network().connect_tcp("127.0.0.1", port, timeout=5)
            try:
                await asyncio.wait_for(told(stream), 10)
            finally:
                await stream.aclose()

    asyncio.run(inside())


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read(100))
    writer.close()


def test_bytes_go_and_come_and_the_end_is_an_empty_read() -> None:
    async def told(stream: httpcore2.AsyncNetworkStream) -> None:
        assert not stream.get_extra_info("is_readable")
        await stream.write(b"there and back")
        assert await stream.read(100, timeout=5) == b"there and back"
        assert await stream.read(100, timeout=5) == b""
        assert stream.get_extra_info("is_readable")

    with_server(echo, told)


def test_what_is_written_at_one_time_arrives_as_one() -> None:
    async def told(stream: httpcore2.AsyncNetworkStream) -> None:
        for piece in (b"head", b" and ", b"body"):
            await stream.write(piece)
        # The server echoes its first read and hangs up.
        assert await stream.read(100, timeout=5) == b"head and body"

    with_server(echo, told)


def test_an_idle_connection_that_was_closed_is_seen_without_reading() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def told(stream: httpcore2.AsyncNetworkStream) -> None:
        await asyncio.sleep(0.05)
        assert stream.get_extra_info("is_readable")

    with_server(hang_up, told)


def test_silence_and_a_reset_are_told_as_the_pool_expects() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.transport.abort()

    async def told(stream: httpcore2.AsyncNetworkStream) -> None:
        with pytest.raises(httpcore2.ReadTimeout):
            await stream.read(10, timeout=0.02)
        await stream.write(b"x" * 10_000)
        with pytest.raises((httpcore2.ReadError, httpcore2.WriteError)):
            for _ in range(100):
                await stream.write(b"x" * 100_000)
                await stream.read(10, timeout=1) or await asyncio.sleep(0.01)

    with_server(silent, told)


def test_nobody_there_is_told() -> None:
    with pytest.raises(httpcore2.ConnectError):
        asyncio.run(Network().connect_tcp("127.0.0.1", 1, timeout=5))
