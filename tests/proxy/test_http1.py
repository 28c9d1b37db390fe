"""One connection, against servers that say whatever they like on a real socket."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest

from unabridged.proxy.http1 import BUFFER, MOST_HEAD, Broken, Connection, Outgoing

if sys.platform == "win32":
    LOOPS = [asyncio.run]
else:
    import uvloop

    LOOPS = [asyncio.run, uvloop.run]

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Told = Callable[[Connection], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"][: len(LOOPS)])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    return request.param  # type: ignore[no-any-return]


Run = Callable[[Coroutine[Any, Any, None]], None]


async def connected(serve: Serve, told: Told) -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(lambda _: None), "127.0.0.1", port
        )
        try:
            await asyncio.wait_for(told(connection), 10)
        finally:
            connection.close()


def saying(*pieces: bytes, then_close: bool = False, pause: float = 0.0) -> Serve:
    """Says this to each request, which has no body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
            if then_close:
                return

    return serve


async def ask(connection: Connection, method: str = "GET") -> tuple[int, bytes]:
    await connection.send(Outgoing(method, b"/", [(b"host", b"here")], b""), seconds=5)
    await connection.head(5)
    return connection.status, await body_of(connection)


async def body_of(connection: Connection) -> bytes:
    pieces = []
    while piece := await connection.piece(5):
        pieces.append(piece)
    return b"".join(pieces)


def test_requests_go_out_one_after_the_other(run: Run) -> None:
    async def told(connection: Connection) -> None:
        for _ in range(3):
            assert connection.free
            assert await ask(connection) == (200, b"ok")

    run(connected(saying(OK), told))


@pytest.mark.parametrize(
    "answer, body",
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n"
         b"3\r\nabc\r\n1;why=not\r\nd\r\n0\r\nX-Trailer: 1\r\n\r\n", b"abcd"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
         b"HTTP/1.1 200 OK\r\nX-A: 1\r\ncontent-length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 200 OK\r\nX-A:\t 1 \r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"3 \r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 2\n\nok", b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n"
         b"HTTP/1.1 200 OK\r\nX-A: 1\r\ncontent-length: 0\r\n\r\n", b""),
    ],
)  # fmt: skip
def test_an_answer_is_read_however_it_is_chopped(run: Run, answer: bytes, body: bytes) -> None:
    async def told(connection: Connection) -> None:
        assert await ask(connection) == (200, body)
        assert (b"X-A", b"1") in connection.headers
        assert all(name not in (b"link", b"X-Trailer") for name, _ in connection.headers)
        assert connection.free

    run(connected(saying(answer), told))
    run(connected(saying(*(answer[n : n + 1] for n in range(len(answer)))), told))


@pytest.mark.parametrize(
    "method, answer",
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
    ],
)
def test_an_answer_without_a_body_is_complete_with_its_head(
    run: Run, method: str, answer: bytes
) -> None:
    async def told(connection: Connection) -> None:
        assert (await ask(connection, method))[1] == b""

    run(connected(saying(answer), told))


def test_a_body_may_end_with_the_connection(run: Run) -> None:
    async def told(connection: Connection) -> None:
        assert await ask(connection) == (200, b"all of it")
        assert not connection.free

    run(connected(saying(b"HTTP/1.1 200 OK\r\n\r\nall ", b"of it", then_close=True), told))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nXYZ\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
        b"4\r\nhalf\r\n",
        b"SMTP ready\r\n",
        b"HTTP/1.1 600 Odd\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ],
)
def test_what_breaks_off_or_is_no_http_is_told(run: Run, answer: bytes) -> None:
    async def told(connection: Connection) -> None:
        with pytest.raises(Broken):
            await ask(connection)
        assert not connection.free

    run(connected(saying(answer, then_close=True), told))


def test_what_came_before_it_broke_off_is_handed_out(run: Run) -> None:
    async def told(connection: Connection) -> None:
        await connection.send(Outgoing("GET", b"/", [], b""), seconds=5)
        await connection.head(5)
        assert await connection.piece(5) == b"half"
        with pytest.raises(Broken, match="mid-answer"):
            await connection.piece(5)

    cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"
    run(connected(saying(cut, b"half", then_close=True, pause=0.05), told))


def test_a_head_without_end_is_given_up(run: Run) -> None:
    async def told(connection: Connection) -> None:
        with pytest.raises(Broken, match=str(MOST_HEAD)):
            await ask(connection)

    endless = [b"HTTP/1.1 200 OK\r\n", *[b"x: " + 1000 * b"a" + b"\r\n"] * 200]
    run(connected(saying(*endless), told))


@pytest.mark.parametrize(
    "answer",
    [
        OK + OK,
        OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"),
        OK.replace(b"1.1", b"1.0"),
    ],
)
def test_a_connection_that_cannot_be_trusted_is_not_used_again(run: Run, answer: bytes) -> None:
    async def told(connection: Connection) -> None:
        assert await ask(connection) == (200, b"ok")
        assert not connection.free

    run(connected(saying(answer), told))


def test_what_comes_unasked_closes_the_connection(run: Run) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    async def told(connection: Connection) -> None:
        assert await ask(connection) == (200, b"ok")
        assert connection.free
        await asyncio.sleep(0.15)
        assert not connection.free

    run(connected(serve, told))


def test_silence_is_told_before_and_in_an_answer(run: Run) -> None:
    async def told(connection: Connection) -> None:
        await connection.send(Outgoing("GET", b"/", [], b""), seconds=5)
        with pytest.raises(TimeoutError):
            await connection.head(0.01)
        await connection.head(5)
        assert await connection.piece(5) == b"a"
        with pytest.raises(TimeoutError):
            await connection.piece(0.01)
        assert await connection.piece(5) == b"b"

    slow = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na"
    run(connected(saying(b"", slow, b"b", pause=0.1), told))


async def numbered(count: int, seen: list[int] | None = None) -> AsyncIterator[bytes]:
    for number in range(count):
        if seen is not None:
            seen.append(number)
        yield b"%05d" % number * 2000  # ten kilobytes


def test_a_body_of_pieces_is_sent_in_chunks_or_by_its_length(run: Run) -> None:
    came: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.readuntil(b"\r\n\r\n"))
        came.append(await reader.readexactly(20000))
        writer.write(OK)
        came.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK)
        await reader.read()

    async def told(connection: Connection) -> None:
        sized = [(b"content-length", b"20000")]
        await connection.send(Outgoing("POST", b"/", sized, numbered(2)), seconds=5)
        await connection.head(5)
        assert await body_of(connection) == b"ok"
        assert connection.free
        chunked = [(b"transfer-encoding", b"chunked")]
        await connection.send(Outgoing("POST", b"/", chunked, numbered(2)), seconds=5)
        await connection.head(5)
        assert await body_of(connection) == b"ok"
        assert connection.free

    run(connected(serve, told))
    assert came[1] == b"00000" * 2000 + b"00001" * 2000
    assert came[2].startswith(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2710\r\n00000")


def test_a_refusal_in_mid_upload_is_heard_and_ends_it(run: Run) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nno!")
        await asyncio.sleep(10)

    async def endless() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(10)
        yield b"never"

    async def told(connection: Connection) -> None:
        chunked = [(b"transfer-encoding", b"chunked")]
        await connection.send(Outgoing("POST", b"/", chunked, endless()), seconds=5)
        await connection.head(5)
        assert (connection.status, await body_of(connection)) == (413, b"no!")
        assert not connection.free

    run(connected(serve, told))


def test_a_server_that_does_not_read_is_not_sent_more(run: Run) -> None:
    seen: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(10)

    async def told(connection: Connection) -> None:
        chunked = [(b"transfer-encoding", b"chunked")]
        pieces = numbered(10000, seen)
        with pytest.raises(TimeoutError):
            await connection.send(Outgoing("POST", b"/", chunked, pieces), seconds=0.3)

    run(connected(serve, told))
    assert len(seen) < 2000  # sockets of the loopback take some megabytes


def test_an_upload_that_nobody_takes_any_more_is_told(run: Run) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async def told(connection: Connection) -> None:
        with pytest.raises(Broken):
            await connection.send(Outgoing("POST", b"/", [], numbered(10000)), seconds=5)

    run(connected(serve, told))


def test_whatever_the_pieces_raise_is_raised(run: Run) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"a"
        raise LookupError("gone")

    async def told(connection: Connection) -> None:
        with pytest.raises(LookupError, match="gone"):
            await connection.send(Outgoing("POST", b"/", [], failing()), seconds=5)
        assert not connection.free

    run(connected(saying(), told))


def test_an_answer_that_nobody_reads_is_slowed_down(run: Run) -> None:
    sent = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 40000000\r\n\r\n")
        for _ in range(400):
            writer.write(bytes(100_000))
            await writer.drain()
            sent.append(100_000)

    async def told(connection: Connection) -> None:
        await connection.send(Outgoing("GET", b"/", [], b""), seconds=5)
        await connection.head(5)
        await asyncio.sleep(0.5)
        assert sum(sent) < 20_000_000
        first = await connection.piece(5)
        assert len(first) < 2 * BUFFER
        assert len(first + await body_of(connection)) == 40_000_000
        assert connection.free

    run(connected(serve, told))


def test_an_answer_that_nobody_took_is_in_nobodys_way(run: Run) -> None:
    """Reading had been stopped for it, so the next answer was never heard."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 400000\r\n\r\n" + bytes(400_000))

    async def told(connection: Connection) -> None:
        await connection.send(Outgoing("GET", b"/", [], b""), seconds=5)
        await connection.head(5)
        assert await connection.piece(5)
        await asyncio.sleep(0.2)
        if connection.free:
            assert await ask(connection) == (200, bytes(400_000))

    run(connected(serve, told))


def test_a_request_cannot_hold_another_one() -> None:
    async def told(connection: Connection) -> None:
        for headers in ([(b"a", b"b\r\nc: d")], [(b"a\nb", b"c")], [(b"a", b"\0")]):
            with pytest.raises(Broken, match="header"):
                await connection.send(Outgoing("GET", b"/", headers, b""), seconds=5)
        with pytest.raises(Broken, match="address"):
            await connection.send(Outgoing("GET", b"/ HTTP/1.1", [], b""), seconds=5)
        assert await ask(connection) == (200, b"ok")

    asyncio.run(connected(saying(OK), told))


def test_who_waits_is_told_when_the_connection_is_closed(run: Run) -> None:
    async def told(connection: Connection) -> None:
        await connection.send(Outgoing("GET", b"/", [], b""), seconds=5)
        asyncio.get_running_loop().call_later(0.05, connection.close)
        with pytest.raises(Broken):
            await connection.head(5)

    run(connected(saying(), told))


def test_a_body_that_we_cut_off_is_not_taken_for_a_whole_one(run: Run) -> None:
    async def told(connection: Connection) -> None:
        await connection.send(Outgoing("GET", b"/", [], b""), seconds=5)
        await connection.head(5)
        assert await connection.piece(5) == b"half"
        asyncio.get_running_loop().call_later(0.05, connection.close)
        with pytest.raises(Broken):
            await connection.piece(5)

    run(connected(saying(b"HTTP/1.1 200 OK\r\n\r\nhalf"), told))
