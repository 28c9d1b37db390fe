"""Sends requests to an OpenAI-compatible server and hands its answers on as they come."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

import httpx2

from unabridged.policies import config
from unabridged.proxy.detour import Detour, environment_proxy
from unabridged.proxy.errors import UpstreamBusy, UpstreamDown, UpstreamSlow, UpstreamUnreached
from unabridged.proxy.headers import Headers
from unabridged.proxy.http1 import Broken, Outgoing
from unabridged.proxy.pool import NoneFree, NotAccepted, Pool

CONNECTIONS = 1000
"""Requests that may be under way to one upstream at once."""
IDLE_CONNECTIONS = 100
IDLE_SECONDS = 15.0
"""Shorter than the usual keep-alive of a server, so that it does not hang up just as we send."""


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


class Coming(Protocol):
    """An answer on its way; see http1.Connection."""

    status: int
    headers: Headers

    async def piece(self, seconds: float) -> bytes: ...


class Way(Protocol):
    """How bytes get to an upstream; see Pool."""

    async def ask(
        self, request: Outgoing, *, connect_seconds: float, first_byte_seconds: float
    ) -> Any: ...

    def give(self, coming: Any) -> None: ...

    async def close(self) -> None: ...


class _Opened:
    def __init__(self, coming: Coming, name: str, idle_seconds: float) -> None:
        self.status = coming.status
        self.headers = coming.headers
        self._coming = coming
        self._name = name
        self._idle = idle_seconds

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            while piece := await self._coming.piece(self._idle):
                yield piece
        except TimeoutError as error:
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
        url = urlsplit(settings.url)
        self.host = url.netloc.rpartition("@")[2].encode("idna")
        """What `Host` says."""
        self._origin = f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
        self._connections = connections
        self._base = url.path.rstrip("/").encode()
        self._way = _way(url, connections)

    async def send(self, call: Call) -> Answer:
        async with self.stream(call) as opened:
            body = b"".join([piece async for piece in opened.pieces()])
            return Answer(status=opened.status, headers=opened.headers, body=body)

    def stream(self, call: Call) -> AbstractAsyncContextManager[Opened]:
        return _Asking(self, call)

    async def close(self) -> None:
        await self._way.close()

    def give(self, coming: Coming) -> None:
        """See Way."""
        self._way.give(coming)

    async def ask(self, call: Call) -> Coming:
        """See Way; raises what an Upstream raises."""
        settings = self.settings
        try:
            coming: Coming = await self._way.ask(
                Outgoing(call.method, self._base + call.target, call.headers, call.body),
                connect_seconds=settings.connect_seconds,
                first_byte_seconds=settings.first_byte_seconds,
            )
            return coming
        except TimeoutError as error:
            raise UpstreamSlow(
                f"upstream {self.name!r} sent nothing within {settings.first_byte_seconds:g} s"
                f" (upstreams.{self.name}.first_byte_seconds in the configuration)"
            ) from error
        except NotAccepted as error:
            raise UpstreamUnreached(
                f"upstream {self.name!r} did not accept a connection within"
                f" {settings.connect_seconds:g} s"
                f" (upstreams.{self.name}.connect_seconds in the configuration)"
            ) from error
        except NoneFree as error:
            raise UpstreamBusy(
                f"all {self._connections} connections to upstream {self.name!r} are in use;"
                " try again"
            ) from error
        except Broken as error:
            raise UpstreamDown(
                f"upstream {self.name!r} at {self._origin} cannot be reached ({error}); check"
                f" upstreams.{self.name}.url in the configuration"
            ) from error


class _Asking:
    """Written out, as a generator costs more than the rest of it."""

    def __init__(self, upstream: HttpUpstream, call: Call) -> None:
        self._upstream = upstream
        self._call = call
        self._coming: Coming

    async def __aenter__(self) -> Opened:
        self._coming = await self._upstream.ask(self._call)
        seconds = self._upstream.settings.idle_seconds
        return _Opened(self._coming, self._upstream.name, seconds)

    async def __aexit__(self, *error: object) -> None:
        self._upstream.give(self._coming)


def _way(url: SplitResult, connections: int) -> Way:
    host = url.hostname or ""
    proxy = environment_proxy(url.scheme, host)
    if proxy is not None:
        limits = httpx2.Limits(
            max_connections=connections,
            max_keepalive_connections=IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
        )
        return Detour(url, proxy=proxy, limits=limits)
    plain = url.scheme == "http"
    return Pool(
        host.encode("idna").decode(),
        url.port or (80 if plain else 443),
        # Reading the certificates takes a while: only where they are looked at.
        tls=None if plain else _tls(),
        most=connections,
        most_idle=IDLE_CONNECTIONS,
        idle_seconds=IDLE_SECONDS,
    )


def _tls() -> ssl.SSLContext:
    context = httpx2.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
