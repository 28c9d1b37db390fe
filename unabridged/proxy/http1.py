"""HTTP/1.1 as a client: one connection, on which requests go out and answers come, undecoded.

The answers are taken apart by httptools (llhttp, in C), right where the event loop hands them over.
A request through httpcore2 and h11, which are written in Python, costs six times as much
(docs/benchmarks.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple, cast

import httptools

from unabridged.proxy.headers import Headers, first

BUFFER = 256 * 1024
"""Bytes of an answer that wait for us before its sender is slowed down."""
MOST_HEAD = 64 * 1024
"""Bytes of an answer before its body."""
_AT_ONCE = 64 * 1024
"""Bytes of a request that are put behind its head and go out as one with it."""
BODYLESS = (204, 304)
"""Statuses of answers that never have a body."""
_FORGIVEN = {
    "lenient_chunked_length": True,  # a length beside chunks: these count
    "lenient_optional_cr_before_lf": True,
    "lenient_spaces_after_chunk_size": True,
}
"""What old servers do, and what leaves no doubt about where an answer ends."""


class Broken(Exception):
    """The connection failed, or what came over it is not HTTP; the text says how."""


class Outgoing(NamedTuple):
    """A request, byte for byte as it goes out."""

    method: str
    target: bytes
    headers: Headers
    body: bytes | AsyncIterator[bytes] = b""
    """One of pieces is sent in chunks if the headers tell no length."""


class Connection(asyncio.Protocol):
    """Requests on it come one after the other: `send`, `head`, and `piece` until there is none.
    Then it is `free`, unless it has to be closed. All three raise Broken.
    """

    def __init__(self, gone: Callable[[Connection], None]) -> None:
        """`gone` is told when it is closed, by whichever side."""
        self._gone = gone
        self._transport: asyncio.Transport
        self._closed = False
        self._failure: Broken | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._full = False
        """The other side is slow to take what is sent."""
        self._paused = False
        """We are slow to take what comes."""
        self._complete = self._sent = self._kept = True
        """Of the last request: the answer is here, the request has gone, and the other side goes
        on listening."""

    @property
    def free(self) -> bool:
        """True if the next request can go out on it: not while an answer that nobody took keeps it
        from being read."""
        over = self._complete and self._sent and self._kept
        return over and not self._paused and not self._closed

    async def send(self, request: Outgoing, *, seconds: float) -> None:
        """Sends a request. A body of pieces goes no further once an answer comes.

        Raises TimeoutError if the other side takes nothing for so long, and whatever the pieces
        raise.
        """
        head, body = _head(request), request.body
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(**_FORGIVEN)
        self.status = 0
        self.headers: Headers = []
        self._bodyless = request.method == "HEAD"
        self._answered = self._complete = self._sent = self._kept = False
        self._head_size = self._size = 0
        self._pieces: list[bytes] = []
        if not isinstance(body, bytes):
            self._transport.write(head)
            chunked = first(request.headers, b"content-length") is None
            return await self._upload(body, chunked=chunked, seconds=seconds)
        if len(body) <= _AT_ONCE:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        self._sent = True

    async def head(self, seconds: float) -> None:
        """Waits until `status` and `headers` are known. Raises TimeoutError."""
        while not self._answered:
            await self._news(seconds)

    async def piece(self, seconds: float) -> bytes:
        """What has come of the body since the last one; empty: it is complete.

        Raises TimeoutError if nothing comes for so long.
        """
        while not self._pieces:
            if self._complete:
                return b""
            await self._news(seconds)
        pieces, self._pieces, self._size = self._pieces, [], 0
        if self._paused and not self._closed:
            self._paused = False
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """At once: what was not sent is not sent, and what was to come breaks off."""
        if not self._closed:
            self._fail("the connection was closed on our side")
            self._transport.abort()
            self.connection_lost(None)

    async def _upload(self, body: AsyncIterator[bytes], *, chunked: bool, seconds: float) -> None:
        """An answer that comes before the whole body is there, such as a refusal, ends it."""

        async def send() -> None:
            async for piece in body:
                if piece:
                    framed = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
                    self._transport.write(framed)
                while self._full:
                    await self._news(seconds)
            if chunked:
                self._transport.write(b"0\r\n\r\n")
            self._sent = True

        sending = asyncio.ensure_future(send())
        sending.add_done_callback(lambda _: self._wake())
        try:
            while not sending.done() and not self._answered:
                await self._news(None)
        finally:
            sending.cancel()
            await asyncio.wait((sending,))
            failure = None if sending.cancelled() else sending.exception()
        if failure is not None and not self._answered:
            raise failure

    async def _news(self, seconds: float | None) -> None:
        """Waits until something happens. Raises TimeoutError and Broken."""
        if self._failure is not None:
            raise self._failure
        loop = asyncio.get_running_loop()
        if self._waiter is None:
            self._waiter = loop.create_future()
        waiter = self._waiter
        timer = None if seconds is None else loop.call_later(seconds, _expire, waiter)
        try:
            await waiter
        finally:
            if timer is not None:
                timer.cancel()
            if self._waiter is waiter:
                self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, said: str) -> None:
        if not self._complete and self._failure is None:
            self._failure = Broken(said)
        self._wake()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._complete:
            return self.close()  # nobody asked
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"what came is not HTTP: {error}")
            return self.close()
        except httptools.HttpParserUpgrade:
            self._fail("what came is not HTTP/1.1, and nobody asked for that")
            return self.close()
        if not self._answered:
            self._head_size += len(data)
            if self._head_size > MOST_HEAD:
                self._fail(f"the head of the answer is longer than {MOST_HEAD} bytes")
                self.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._closed:
            return
        self._closed = True
        if not self._complete:
            ended = self._answered and error is None and self._failure is None
            self._complete = ended and self._ends_with_connection()
            self._fail("the connection was closed in mid-answer")
        self._gone(self)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._complete:
            raise Broken("a second answer to one request")  # ends the parsing

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._answered:  # what follows the body of chunks is for nobody
            self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return  # another one follows
        if status > 599:
            raise Broken(f"{status} is no status")  # the server could not hand it on
        self.status = status
        self._answered = True
        self._wake()
        if self._bodyless or status in BODYLESS:
            # The parser does not know what was asked for, and would wait for a body.
            self._complete = True

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > BUFFER and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        if not self._answered:
            return self.headers.clear()  # of an interim answer
        self._complete = True
        self._kept = self._parser.should_keep_alive()
        self._wake()

    def _ends_with_connection(self) -> bool:
        """True if nothing but the end of the connection tells the end of the body."""
        encodings = [v.lower() for k, v in self.headers if k.lower() == b"transfer-encoding"]
        if encodings:
            return not encodings[-1].endswith(b"chunked")
        return first(self.headers, b"content-length") is None


def _head(request: Outgoing) -> bytes:
    """Raises Broken for what would be read as something else on the other side."""
    lines = [b"%b %b HTTP/1.1\r\n" % (request.method.encode(), request.target)]
    lines += [b"%b: %b\r\n" % header for header in request.headers]
    lines.append(b"\r\n")
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
        raise Broken("a header holds a line break or a zero byte")
    if len(request.target.split()) != 1:
        raise Broken("the address holds a space")
    return head


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())
