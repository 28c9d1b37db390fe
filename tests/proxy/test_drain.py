"""An answer whose reader has gone is read to its end, for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from unabridged.proxy.drain import drained
from unabridged.proxy.errors import UpstreamDown
from unabridged.proxy.headers import Headers
from unabridged.proxy.relay import Filter
from unabridged.proxy.upstream import Answer, Call, Opened

CALL = Call(method="POST", target=b"/x", headers=[])


@dataclass
class Slow:
    """An upstream that sends ten pieces, one every 10 ms."""

    head_seconds: float = 0.0
    broken: bool = False
    closed: bool = False

    async def send(self, call: Call) -> Answer:
        raise NotImplementedError

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Opened]:
        await asyncio.sleep(self.head_seconds)
        if self.broken:
            raise UpstreamDown("down")
        try:
            yield _Answer()
        finally:
            self.closed = True


class _Answer:
    status = 200
    headers: Headers = []

    async def pieces(self) -> AsyncIterator[bytes]:
        for number in range(10):
            await asyncio.sleep(0.01)
            yield b"%d" % number


@dataclass
class Heard:
    """A Filter that remembers."""

    all: bytes = b""
    flushed: int = 0
    asked: list[int] = field(default_factory=list)

    def feed(self, piece: bytes) -> bytes:
        self.all += piece
        return piece

    def flush(self) -> bytes:
        self.flushed += 1
        return b""

    def watch(self, status: int, headers: Headers) -> Filter:
        self.asked.append(status)
        return self


async def read(upstream: Slow, heard: Heard, seconds: float = 5.0) -> None:
    async with drained(upstream, CALL, heard.watch, seconds=seconds) as opened:
        async for piece in opened.pieces():
            heard.feed(piece)
        heard.flush()


def test_with_its_reader_there_nothing_is_different() -> None:
    upstream, heard = Slow(), Heard()
    asyncio.run(read(upstream, heard))
    assert heard.all == b"0123456789"
    assert heard.asked == []
    assert upstream.closed


@pytest.mark.parametrize("head_seconds", [0.0, 0.1], ids=["in mid-answer", "before the head"])
def test_when_the_reader_goes_the_rest_is_read_and_heard(head_seconds: float) -> None:
    async def told() -> None:
        upstream, heard = Slow(head_seconds=head_seconds), Heard()
        task = asyncio.create_task(read(upstream, heard))
        await asyncio.sleep(0.045)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert heard.all == b"0123456789"
        assert heard.flushed == 1
        assert upstream.closed

    asyncio.run(told())


def test_it_is_not_read_for_ever() -> None:
    async def told() -> None:
        upstream, heard = Slow(), Heard()
        task = asyncio.create_task(read(upstream, heard, seconds=0.02))
        await asyncio.sleep(0.03)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(heard.all) < 10
        assert upstream.closed

    asyncio.run(told())


def test_an_upstream_that_fails_fails_as_ever() -> None:
    with pytest.raises(UpstreamDown):
        asyncio.run(read(Slow(broken=True), Heard()))
