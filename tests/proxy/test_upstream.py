"""What is sent is what arrives, and what arrives is handed on undecoded, in its own time."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest
from fake_upstream import Cut, FakeUpstream, Hang, Reply, answer

from unabridged.policies.config import Upstream
from unabridged.proxy.errors import UpstreamDown, UpstreamSlow
from unabridged.proxy.upstream import Answer, Call, HttpUpstream

T = TypeVar("T")


def using(fake: FakeUpstream, work: Callable[[HttpUpstream], Awaitable[T]], **settings: float) -> T:
    async def main() -> T:
        upstream = HttpUpstream("up", Upstream(url=fake.url, **settings))
        try:
            return await work(upstream)
        finally:
            await upstream.close()

    return asyncio.run(main())


def call(body: bytes | AsyncIterator[bytes] = b"{}", length: int | None = 2) -> Call:
    sized = [] if length is None else [(b"Content-Length", str(length).encode())]
    return Call(
        method="POST",
        target=b"/a%2fb?c=%20",
        headers=[(b"Host", b"h"), (b"X-Odd-CASE", b"\xe9"), *sized],
        body=body,
    )


def test_the_request_arrives_exactly_as_it_was_written(upstream: FakeUpstream) -> None:
    using(upstream, lambda up: up.send(call()))
    assert upstream.seen[0].head == (
        b"POST /v1/a%2fb?c=%20 HTTP/1.1\r\nHost: h\r\nX-Odd-CASE: \xe9\r\nContent-Length: 2\r\n\r\n"
    )


def test_a_body_of_pieces_is_sent_as_it_comes(upstream: FakeUpstream) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"ab", b"", b"c"):
            yield piece

    using(upstream, lambda up: up.send(call(pieces(), 3)))
    assert upstream.seen[0].body == b"abc"


def test_an_answer_is_not_decoded(upstream: FakeUpstream) -> None:
    packed = gzip.compress(b"hello")
    upstream.reply(answer(packed, headers=[("Content-Encoding", "gzip"), ("Set-Cookie", "a=1")]))

    async def twice(up: HttpUpstream) -> list[Answer]:
        return [await up.send(call()) for _ in range(2)]

    for got in using(upstream, twice):
        assert got.body == packed
        assert (b"Content-Encoding", b"gzip") in got.headers
    assert all(seen.header("cookie") is None for seen in upstream.seen)


def test_connections_are_used_again(upstream: FakeUpstream) -> None:
    async def many(up: HttpUpstream) -> int:
        for _ in range(5):
            await up.send(call())
        return len(up._way)  # type: ignore[arg-type]

    assert using(upstream, many) == 1


async def first_piece(up: HttpUpstream) -> bytes:
    async with up.stream(call()) as opened:
        async for piece in opened.pieces():
            return piece
    return b""


def test_leaving_in_mid_answer_closes_the_connection(upstream: FakeUpstream) -> None:
    upstream.reply(Reply(pieces=[b"first", Hang], framing="chunked"))
    assert using(upstream, first_piece) == b"first"
    upstream.wait_left()


def test_silence_before_and_in_an_answer_is_told(upstream: FakeUpstream) -> None:
    upstream.reply(Reply(before=[Hang]))
    with pytest.raises(UpstreamSlow, match=r"upstreams\.up\.first_byte_seconds"):
        using(upstream, lambda up: up.send(call()), first_byte_seconds=0.05, connect_seconds=0.05)
    upstream.reply(Reply(pieces=[b"first", Hang], framing="chunked"))
    with pytest.raises(UpstreamSlow, match=r"upstreams\.up\.idle_seconds"):
        using(upstream, lambda up: up.send(call()), idle_seconds=0.05)


@pytest.mark.parametrize(
    "reply", [Reply(before=[Cut]), Reply(pieces=[b"x", 0.02, Cut], framing="chunked")]
)
def test_a_connection_that_breaks_is_told(upstream: FakeUpstream, reply: Reply) -> None:
    upstream.reply(reply)
    with pytest.raises(UpstreamDown):
        using(upstream, lambda up: up.send(call()))


def test_a_recorded_answer_is_read_as_it_was_once_sent(upstream: FakeUpstream) -> None:
    upstream.reply(
        Reply(recorded=b"HTTP/1.1 200 OK\r\nX-B: 2\r\nx-a: 1\r\nContent-Length: 3\r\n\r\nabc")
    )
    got = using(upstream, lambda up: up.send(call()))
    assert (got.headers[:2], got.body) == ([(b"X-B", b"2"), (b"x-a", b"1")], b"abc")
