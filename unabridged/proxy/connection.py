"""One connection to an upstream: a request goes out on it, its answer comes in as it was sent.

HTTP/1.1 (RFC 9112) by httptools' parser. Nothing is added to a request and nothing of an answer
is decoded but the framing, so names, order and bytes are those of the two ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import cast

import httptools

from unabridged.proxy.headers import Headers, first

MOST_WAITING = 256 * 1024
"""Bytes of an answer that may wait for a reader before the other side has to wait too."""


class Broken(Exception):
    """The connection ended, or the other side did not speak HTTP."""


class Silent(Exception):
    """Nothing came for too long."""


class Connection(asyncio.Protocol):
    """Carries one request after the other. `released` is told when it is free for the next one
    or is gone."""

    def __init__(self, released: Callable[[Connection], None]) -> None:
        self.status = 0
        self.headers: Headers = []
        self.idle_since = 0.0
        """Time of the event loop when the last answer was complete."""
        self.open = False
        self._released = released
        self._loop = asyncio.get_running_loop()
        self._busy = False
        self._parser: httptools.HttpResponseParser | None = None
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._complete = False
        self._error: Exception | None = None
        self._awaited: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._head_only = False
        self._has_head = False
        self._keeps = False
        self._paused = False
        self._heard = 0.0

    # --- what the pool and the upstream call

    async def request(
        self, method: bytes, target: bytes, headers: Headers, body: bytes | AsyncIterator[bytes]
    ) -> None:
        """Sends a request and waits for the head of its answer. Raises Broken, and whatever the
        body raises."""
        self._begin(method)
        head = b"".join(
            (
                method, b" ", target, b" HTTP/1.1\r\n",
                *(part for k, v in headers for part in (k, b": ", v, b"\r\n")),
                b"\r\n",
            )
        )  # fmt: skip
        if isinstance(body, bytes):
            self._transport.write(head + body if len(body) < 65536 else head)
            if len(body) >= 65536:
                self._transport.write(body)
        else:
            self._transport.write(head)
            chunked = first(headers, b"transfer-encoding") is not None
            self._sending = self._loop.create_task(self._send(body, chunked))
            self._sending.add_done_callback(self._sent)
        while not self._has_head:
            await self._news()

    async def pieces(self, idle_seconds: float) -> AsyncIterator[bytes]:
        """The body of the answer as it comes. Raises Broken, and Silent after a silence."""
        self._heard = self._loop.time()
        watch = self._loop.call_later(idle_seconds, self._look, idle_seconds)
        self._watch = watch
        try:
            while True:
                if self._pieces:
                    yield self._taken()
                elif self._complete:
                    return
                else:
                    await self._news()
        finally:
            self._watch.cancel()

    def leave(self) -> None:
        """The answer is no longer wanted: an incomplete one takes the connection with it."""
        if self._sending is not None and not self._sending.done():
            self._sending.cancel()
            self._keeps = False
        self._sending = None
        if not self._busy:
            return
        self._busy = False
        self._pieces.clear()
        if self._paused:
            self._paused = False
            if self.open:
                self._transport.resume_reading()
        if not (self._complete and self._keeps):
            self.close()
        self.idle_since = self._loop.time()
        self._released(self)

    def close(self) -> None:
        if self.open:
            self.open = False
            self._transport.abort()

    # --- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        if not self._busy or self._parser is None or self._complete:
            # Bytes that answer nothing: what the other side means by them cannot be known.
            self._keeps = False
            return self.close() if not self._busy else None
        self._heard = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self._complete:
                self._fail(Broken(f"no valid HTTP ({type(error).__name__})"))
            self._keeps = False
        except httptools.HttpParserUpgrade:
            self._fail(Broken("the protocol was switched though nobody asked"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = self._keeps = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_exception(Broken("closed while the request was sent"))
        if not self._busy:
            return self._released(self)
        if self._has_head and not self._complete and exc is None and not self._framed():
            self._complete = True  # the end of the connection is the end of the body
            return self._tell()
        if not self._complete:
            self._fail(Broken(type(exc).__name__ if exc else "closed"))

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # --- what httptools calls

    def on_message_begin(self) -> None:
        if self._complete:
            self._keeps = False  # an answer that nobody asked for
        else:
            self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status < 200 or self._complete:
            return  # 100 Continue and 103 Early Hints come before the answer
        self.status = status
        self._has_head = True
        if self._head_only:
            self._complete = True  # its Content-Length announces nothing
        self._tell()

    def on_body(self, data: bytes) -> None:
        if self._complete:
            return
        self._pieces.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > MOST_WAITING and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._tell()

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if not self._has_head or self._complete:
            return
        self._complete = True
        self._keeps = self.open and self._parser.should_keep_alive()
        self._tell()

    # --- inside

    def _begin(self, method: bytes) -> None:
        if not self.open:
            raise Broken("closed")
        self._parser = httptools.HttpResponseParser(self)
        self._busy = True
        self._has_head = self._complete = self._keeps = False
        self._head_only = method == b"HEAD"
        self._waiting_bytes = 0
        self._error = None

    async def _news(self) -> None:
        """Returns when something has come. Raises what broke the connection."""
        if self._error is not None:
            raise self._error
        self._awaited = self._loop.create_future()
        try:
            await self._awaited
        finally:
            self._awaited = None
        if self._error is not None and not self._pieces:
            raise self._error

    def _tell(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
        self.close()
        self._tell()

    def _taken(self) -> bytes:
        piece = self._pieces.popleft()
        self._waiting_bytes -= len(piece)
        if self._paused and self._waiting_bytes <= MOST_WAITING // 2:
            self._paused = False
            # The silence while we did not listen was ours.
            self._heard = self._loop.time()
            if self.open:
                self._transport.resume_reading()
        return piece

    def _look(self, idle_seconds: float) -> None:
        """One timer for a whole answer, since most pieces come long before it ends."""
        now = self._loop.time()
        if self._awaited is None:
            self._heard = now  # it is the reader who takes his time
        left = self._heard + idle_seconds - now
        if left <= 0:
            return self._fail(Silent())
        self._watch = self._loop.call_later(left, self._look, idle_seconds)

    async def _send(self, body: AsyncIterator[bytes], chunked: bool) -> None:
        async for piece in body:
            if not piece:
                continue
            self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if self._writable is not None:
                await self._writable
        if chunked:
            self._transport.write(b"0\r\n\r\n")

    def _sent(self, task: asyncio.Task[None]) -> None:
        """A body that could not be read to its end leaves half a request behind."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception) and not self._has_head:
            self._fail(error)

    def _framed(self) -> bool:
        """True if HTTP itself tells where the body ends."""
        return any(k.lower() in (b"transfer-encoding", b"content-length") for k, _ in self.headers)
