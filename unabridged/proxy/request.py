"""A request as it arrives: its head, its body piece by piece, and whether its client is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from starlette.types import Message, Receive, Scope, Send

from unabridged.proxy.errors import BadPath, ClientGone, ShuttingDown, TooLarge
from unabridged.proxy.headers import Headers, first

T = TypeVar("T")
CUT_OFF = "the proxy shut down before the answer was complete"
"""What a request is cancelled with when its grace time (server.grace_seconds) is over."""
PREFIX = "/v1"


class Request:
    """One HTTP request. Its body can be read once."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, max_body_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._limit = max_body_bytes
        self._drained = False
        self._read = asyncio.Event()
        self.started = False
        """True once the head of an answer was sent."""
        self.answered = False
        """True once an answer was sent to its end."""
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        """Decoded, without the query."""
        self.raw_path: bytes = scope.get("raw_path") or self.path.encode()
        self.query: bytes = scope["query_string"]
        self.headers: Headers = scope["headers"]

    async def send(self, message: Message) -> None:
        """Sends a piece of the answer."""
        self.started = True
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.answered = True
        await self._send(message)

    @property
    def target(self) -> bytes:
        """What stands behind /v1, as the client wrote it, with the query.

        Raises BadPath if it climbs out of the upstream's base URL.
        """
        if any(part in (".", "..") for part in self.path.replace("\\", "/").split("/")):
            raise BadPath("the path must not hold '.' or '..' segments")
        rest = self.raw_path[len(PREFIX) :]
        return rest + b"?" + self.query if self.query else rest

    def header(self, name: bytes) -> str | None:
        """The value of the first header of a lower-case name."""
        value = first(self.headers, name)
        return None if value is None else value.decode("latin-1")

    def header_map(self) -> dict[str, str]:
        """All headers by lower-case name; of those that repeat, the first."""
        found: dict[str, str] = {}
        for key, value in self.headers:
            found.setdefault(key.decode("latin-1").lower(), value.decode("latin-1"))
        return found

    @property
    def has_body(self) -> bool:
        """True if the client announced one (RFC 9112 section 6.3)."""
        length = first(self.headers, b"content-length")
        if length is not None:
            return length.strip() != b"0"
        return first(self.headers, b"transfer-encoding") is not None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes in. Raises TooLarge, counting what really comes, and ClientGone."""
        announced = first(self.headers, b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > self._limit:
            raise TooLarge.at(self._limit)
        size = 0
        while not self._drained:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            self._drained = not message.get("more_body", False)
            piece = message.get("body", b"")
            size += len(piece)
            if size > self._limit:
                raise TooLarge.at(self._limit)
            if piece:
                yield piece
        self._read.set()

    async def body(self) -> bytes:
        """The whole body. Raises TooLarge and ClientGone."""
        return b"".join([piece async for piece in self.pieces()])

    def abandon_body(self) -> None:
        """Nobody will read the rest of the body: only the client's leaving matters now."""
        self._read.set()

    async def while_there(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work`, and cancels it as soon as the client closes its connection.

        Raises ClientGone then, after `work` has cleaned up, and ShuttingDown if it was cut off.
        """
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(self._gone())
        why = None
        try:
            await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
            # The server says goodbye after a complete answer too.
            if task.done() or self.answered:
                return await task
            raise ClientGone
        except asyncio.CancelledError as cancelled:
            if CUT_OFF not in cancelled.args:
                raise
            why = CUT_OFF
            raise ShuttingDown(CUT_OFF) from None
        finally:
            gone.cancel()
            while not task.done():
                task.cancel(why)
                try:
                    await asyncio.wait((task,))
                except asyncio.CancelledError as cancelled:
                    # The server ends while the work of a client that has gone goes on.
                    if CUT_OFF not in cancelled.args:
                        raise
                    why = CUT_OFF

    async def _gone(self) -> None:
        # The server hands out the body and the goodbye through one channel, so the goodbye can
        # only be waited for when nobody reads the body any more.
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
