"""Sends requests to an OpenAI-compatible server and hands its answers on as they come."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpcore2
import httpx2

from unabridged.policies import config
from unabridged.proxy.errors import UpstreamBusy, UpstreamDown, UpstreamSlow
from unabridged.proxy.headers import Headers
from unabridged.proxy.network import Network
from unabridged.proxy.pool import Pool

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


_BROKEN = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.TimeoutException,
    httpcore2.UnsupportedProtocol,
)
"""What a connection fails with."""


class _Opened:
    def __init__(self, response: httpcore2.Response, name: str, idle_seconds: float) -> None:
        self.status = response.status
        self.headers: Headers = response.headers
        self._stream: Any = response.stream
        self._name = name
        self._idle = idle_seconds

    async def pieces(self) -> AsyncIterator[bytes]:
        incoming = aiter(self._stream)
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    piece = await anext(incoming)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise UpstreamSlow(
                    f"upstream {self._name!r} was silent for {self._idle:g} s in mid-answer"
                    f" (upstreams.{self._name}.idle_seconds in the configuration)"
                ) from error
            except _BROKEN as error:
                raise UpstreamDown(
                    f"upstream {self._name!r} broke off in mid-answer ({type(error).__name__})"
                ) from error
            yield piece


class HttpUpstream:
    """An upstream over HTTP/1.1, with one pool of connections for the whole process.

    Works with the pool below httpx2's client: no redirects, cookies, credentials from files or
    headers of its own, and nothing is decoded, so bytes are relayed as they are.
    """

    def __init__(
        self, name: str, settings: config.Upstream, *, connections: int = CONNECTIONS
    ) -> None:
        self.name = name
        self.settings = settings
        parts = urlsplit(settings.url)
        self.host = parts.netloc.rpartition("@")[2].encode("idna")
        """What `Host` says."""
        self._connections = connections
        self._base = parts.path.rstrip("/").encode()
        self._url = httpx2.URL(f"{parts.scheme}://{parts.netloc}/")
        proxy = _environment_proxy(parts.scheme, parts.hostname or "")
        limits = httpx2.Limits(
            max_connections=connections,
            max_keepalive_connections=IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
        )
        self._pool: httpcore2.AsyncConnectionPool
        if proxy is not None:
            # The transport knows what each kind of proxy wants.
            self._pool = httpx2.AsyncHTTPTransport(limits=limits, proxy=proxy)._pool
        else:
            plain = parts.scheme == "http"
            self._pool = Pool(
                # Reading the certificates takes a while: only where they are looked at.
                ssl_context=None if plain else httpx2.create_ssl_context(),
                max_connections=limits.max_connections,
                max_keepalive_connections=limits.max_keepalive_connections,
                keepalive_expiry=limits.keepalive_expiry,
                network_backend=Network() if plain else None,
            )

    async def send(self, call: Call) -> Answer:
        async with self.stream(call) as opened:
            body = b"".join([piece async for piece in opened.pieces()])
            return Answer(status=opened.status, headers=opened.headers, body=body)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Opened]:
        response = await self._open(call)
        try:
            yield _Opened(response, self.name, self.settings.idle_seconds)
        finally:
            # A connection that is being closed while the client leaves must not stay open.
            await asyncio.shield(response.stream.aclose())  # type: ignore[union-attr]

    async def close(self) -> None:
        await self._pool.aclose()

    async def _open(self, call: Call) -> httpcore2.Response:
        settings = self.settings
        seconds = settings.connect_seconds
        request = httpcore2.Request(
            call.method,
            # Byte for byte what the client asked for.
            httpcore2.URL(
                scheme=self._url.raw_scheme,
                host=self._url.raw_host,
                port=self._url.port,
                target=self._base + call.target,
            ),
            headers=call.headers,
            content=call.body,
            extensions={"timeout": {"connect": seconds, "pool": seconds}},
        )
        try:
            async with asyncio.timeout(seconds + settings.first_byte_seconds):
                return await self._pool.handle_async_request(request)
        except TimeoutError as error:
            raise UpstreamSlow(
                f"upstream {self.name!r} sent nothing within {settings.first_byte_seconds:g} s"
                f" (upstreams.{self.name}.first_byte_seconds in the configuration)"
            ) from error
        except httpcore2.ConnectTimeout as error:
            raise UpstreamSlow(
                f"upstream {self.name!r} did not accept a connection within {seconds:g} s"
                f" (upstreams.{self.name}.connect_seconds in the configuration)"
            ) from error
        except httpcore2.PoolTimeout as error:
            raise UpstreamBusy(
                f"all {self._connections} connections to upstream {self.name!r} are in use;"
                " try again"
            ) from error
        except _BROKEN as error:
            raise UpstreamDown(
                f"upstream {self.name!r} at {_origin(self._url)} cannot be reached"
                f" ({type(error).__name__}); check upstreams.{self.name}.url in the configuration"
            ) from error


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


def _environment_proxy(scheme: str, host: str) -> str | None:
    """HTTPS_PROXY and its kin, as every command-line tool understands them; never for loopback."""
    if host in ("localhost", "::1") or host.startswith("127."):
        return None
    if urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(scheme)
