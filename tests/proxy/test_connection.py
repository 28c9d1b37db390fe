"""A connection carries HTTP as it is written, however it is chopped, and notices how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest

from unabridged.proxy.connection import MOST_WAITING, Broken, Connection, Silent

T = TypeVar("T")
HOST = [(b"Host", b"h")]
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def talking(peer: Peer, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Runs `work` on a connection whose other end does what `peer` says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await peer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def main() -> T:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(lambda _: None), "127.0.0.1", port
        )
        try:
            async with asyncio.timeout(10):
                return await work(connection)
        finally:
            connection.close()
            server.close()

    return asyncio.run(main())


def says(*pieces: bytes, end: bool = True) -> Peer:
    """Answers every request with these pieces, then hangs up or waits for the next one."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if end:
                return

    return peer


async def ask(connection: Connection, method: bytes = b"GET", idle: float = 5.0) -> bytes:
    await connection.request(method, b"/", HOST, b"")
    try:
        return b"".join([piece async for piece in connection.pieces(idle)])
    finally:
        connection.leave()


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK + b"Content-Length: 3\r\n\r\nabc", b"abc"),
        (OK + b"content-length: 0\r\n\r\n", b""),
        (CHUNKED, b"abcdefg"),
        (OK + b"X: y\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED, b"abcdefg"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (CHUNKED[:-2] + b"X-Trailer: 1\r\n\r\n", b"abcdefg"),
    ],
    ids=["sized", "empty", "chunked", "to the end", "after 100", "204", "trailers"],
)
def test_an_answer_is_the_same_however_it_is_chopped(answer: bytes, body: bytes) -> None:
    for size in (1, 2, 3, 7, len(answer)):
        pieces = [answer[n : n + size] for n in range(0, len(answer), size)]
        assert talking(says(*pieces), ask) == body


def test_names_order_and_repeats_of_headers_are_kept() -> None:
    head = OK + b"X-B: 2\r\nx-a: 1\r\nX-B: 3\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"

    async def work(connection: Connection) -> object:
        await ask(connection)
        return connection.status, connection.headers

    assert talking(says(head), work) == (
        200,
        [(b"X-B", b"2"), (b"x-a", b"1"), (b"X-B", b"3"), (b"X-Empty", b""),
         (b"Content-Length", b"0")],
    )  # fmt: skip


def test_a_connection_is_used_again_only_if_its_answer_was_complete_and_says_so() -> None:
    async def twice(connection: Connection) -> bool:
        await ask(connection)
        return connection.open and await ask(connection) == b"abcdefg"

    assert talking(says(CHUNKED, end=False), twice)
    closing = CHUNKED.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")
    assert not talking(says(closing, end=False), twice)
    # More than was asked for: nobody can tell what the rest answers.
    assert not talking(says(CHUNKED + CHUNKED, end=False), twice)


def test_the_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    answer = OK + b"Content-Length: 5\r\n\r\n"
    assert talking(says(answer, end=False), lambda c: ask(c, b"HEAD")) == b""


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no HTTP at all\r\n\r\n",
        OK[:9],
        OK + b"Content-Length: 9\r\n\r\nabc",
        CHUNKED[:-5],
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["nothing", "other", "half a head", "half a body", "no last chunk", "101", "bad chunk"],
)
def test_whatever_breaks_an_answer_off_is_told(answer: bytes) -> None:
    with pytest.raises(Broken):
        talking(says(answer), ask)


def test_what_came_before_the_break_is_handed_on_first() -> None:
    async def work(connection: Connection) -> list[bytes]:
        got: list[bytes] = []
        await connection.request(b"GET", b"/", HOST, b"")
        with pytest.raises(Broken):
            async for piece in connection.pieces(5):
                got.append(piece)
        return got

    answer = OK + b"Content-Length: 9\r\n\r\nabc"
    assert b"".join(talking(says(answer), work)) == b"abc"


def test_a_silence_is_told_but_not_one_of_a_slow_reader() -> None:
    async def slow(connection: Connection) -> bytes:
        await connection.request(b"GET", b"/", HOST, b"")
        got = b""
        async for piece in connection.pieces(0.1):
            got += piece
            await asyncio.sleep(0.25)
        return got

    assert talking(says(CHUNKED, end=False), slow) == b"abcdefg"
    with pytest.raises(Silent):
        talking(says(CHUNKED[:-5], end=False), lambda c: ask(c, idle=0.1))


def test_a_body_of_pieces_is_framed_as_its_headers_say() -> None:
    seen: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK + b"Content-Length: 0\r\n\r\n")

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"ab", b"", b"c"):
            yield piece

    async def work(connection: Connection) -> None:
        headers = [*HOST, (b"Transfer-Encoding", b"chunked")]
        await connection.request(b"POST", b"/", headers, pieces())
        connection.leave()

    talking(peer, work)
    assert seen[0].endswith(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")


def test_an_answer_that_comes_before_the_request_is_complete_ends_the_sending() -> None:
    left: list[bool] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        await reader.read()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.001)
        finally:
            left.append(True)

    async def work(connection: Connection) -> tuple[int, bool]:
        headers = [*HOST, (b"Content-Length", b"99999999")]
        await connection.request(b"POST", b"/", headers, endless())
        got = b"".join([piece async for piece in connection.pieces(5)])
        connection.leave()
        await asyncio.sleep(0.05)
        assert got == b"no"
        return connection.status, connection.open

    assert talking(peer, work) == (413, False)
    assert left == [True]


def test_what_breaks_the_body_breaks_the_request() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        raise LookupError("the client has gone")

    async def work(connection: Connection) -> None:
        await connection.request(b"POST", b"/", HOST, body())

    with pytest.raises(LookupError):
        talking(peer, work)


def test_a_reader_who_takes_his_time_makes_the_other_side_wait() -> None:
    sent: list[int] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.set_write_buffer_limits(high=0)
        size = 64 * 2**20
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(size // 2**20):
            writer.write(b"x" * 2**20)
            await writer.drain()
            sent.append(2**20)

    async def work(connection: Connection) -> int:
        await connection.request(b"GET", b"/", HOST, b"")
        await asyncio.sleep(0.3)
        held = connection._waiting_bytes
        assert sum(sent) < 32 * 2**20
        size = sum([len(piece) async for piece in connection.pieces(5)])
        connection.leave()
        assert size == 64 * 2**20
        return held

    assert 0 < talking(peer, work) < 4 * MOST_WAITING
