"""Sends requests to an OpenAI-compatible server and hands its answers on as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from unabridged.policies import config
from unabridged.proxy.connection import Broken, Connection, Silent
from unabridged.proxy.errors import UpstreamBusy, UpstreamDown, UpstreamSlow
from unabridged.proxy.headers import Headers
from unabridged.proxy.pool import ConnectSlow, NoneFree, Pool, Unreachable

CONNECTIONS = 1000
"""Requests that may be under way to one upstream at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to an upstream."""

    method: str
    target: bytes
    """Path and query behind the upstream's base URL, such as b"/chat/completions"."""
    headers: Headers
    """In this order. An HttpUpstream sends them as they are; a Destination makes of the caller's
    own what this upstream is to see."""
    body: bytes | AsyncIterator[bytes] = b""
    rewritten: bool = False
    """True if the body is not the one that the headers tell the length of."""
    served: Callable[[str], None] = lambda name: None
    """Told the name of the upstream that answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of an upstream, whole."""

    status: int
    headers: Headers
    body: bytes


class Opened(Protocol):
    """An answer whose head is here and whose body is still coming."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    def pieces(self) -> AsyncIterator[bytes]:
        """The body's bytes as they come, never decoded. Raises UpstreamDown, UpstreamSlow."""
        ...


class Upstream(Protocol):
    """Where requests go. Both methods raise UpstreamDown, UpstreamSlow and UpstreamBusy."""

    async def send(self, call: Call) -> Answer: ...

    def stream(self, call: Call) -> AbstractAsyncContextManager[Opened]:
        """Leaving the context closes the connection of an answer that was not read to its end."""
        ...


class _Opened:
    def __init__(self, connection: Connection, name: str, idle_seconds: float) -> None:
        self.status = connection.status
        self.headers = connection.headers
        self._connection = connection
        self._name = name
        self._idle = idle_seconds

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._connection.pieces(self._idle):
                yield piece
        except Silent as error:
            raise UpstreamSlow(
                f"upstream {self._name!r} was silent for {self._idle:g} s in mid-answer"
                f" (upstreams.{self._name}.idle_seconds in the configuration)"
            ) from error
        except Broken as error:
            raise UpstreamDown(
                f"upstream {self._name!r} broke off in mid-answer ({error})"
            ) from error


class HttpUpstream:
    """An upstream over HTTP/1.1, with one pool of connections for the whole process.

    No redirects, cookies, credentials from files or headers of its own, and nothing is decoded,
    so bytes are relayed as they are.
    """

    def __init__(
        self, name: str, settings: config.Upstream, *, connections: int = CONNECTIONS
    ) -> None:
        self.name = name
        self.settings = settings
        parts = urlsplit(settings.url)
        netloc = parts.netloc.rpartition("@")[2]
        self.host = netloc.encode("idna")
        """What `Host` says."""
        self._base = parts.path.rstrip("/").encode()
        self._origin = f"{parts.scheme}://{netloc}"
        self._connections = connections
        self._pool = Pool(urlsplit(self._origin), most=connections)

    async def send(self, call: Call) -> Answer:
        async with self.stream(call) as opened:
            body = b"".join([piece async for piece in opened.pieces()])
            return Answer(status=opened.status, headers=opened.headers, body=body)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Opened]:
        connection = await self._connection()
        try:
            await self._request(connection, call)
            yield _Opened(connection, self.name, self.settings.idle_seconds)
        finally:
            connection.leave()

    async def close(self) -> None:
        await self._pool.close()

    async def _connection(self) -> Connection:
        seconds = self.settings.connect_seconds
        try:
            return await self._pool.take(seconds)
        except ConnectSlow as error:
            raise UpstreamSlow(
                f"upstream {self.name!r} did not accept a connection within {seconds:g} s"
                f" (upstreams.{self.name}.connect_seconds in the configuration)"
            ) from error
        except NoneFree as error:
            raise UpstreamBusy(
                f"all {self._connections} connections to upstream {self.name!r} are in use;"
                " try again"
            ) from error
        except Unreachable as error:
            raise self._down(error.__cause__ or error) from error

    async def _request(self, connection: Connection, call: Call) -> None:
        """Byte for byte what the client asked for."""
        settings, pool = self.settings, self._pool
        try:
            async with asyncio.timeout(settings.first_byte_seconds):
                await connection.request(
                    call.method.encode(),
                    pool.prefix + self._base + call.target,
                    call.headers + pool.headers,
                    call.body,
                )
        except TimeoutError as error:
            raise UpstreamSlow(
                f"upstream {self.name!r} sent nothing within {settings.first_byte_seconds:g} s"
                f" (upstreams.{self.name}.first_byte_seconds in the configuration)"
            ) from error
        except Broken as error:
            raise self._down(error) from error

    def _down(self, error: BaseException) -> UpstreamDown:
        told = str(error) if isinstance(error, Broken) else type(error).__name__
        return UpstreamDown(
            f"upstream {self.name!r} at {self._origin} cannot be reached"
            f" ({told}); check upstreams.{self.name}.url in the configuration"
        )
