"""The way to an upstream through the proxy that the environment names, by httpx2's transport."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import SplitResult

import httpcore2
import httpx2

from unabridged.proxy.headers import Headers
from unabridged.proxy.http1 import Broken, Outgoing
from unabridged.proxy.pool import NoneFree, NotAccepted


def environment_proxy(scheme: str, host: str) -> str | None:
    """HTTPS_PROXY and its kin, as every command-line tool understands them; never for loopback."""
    if host in ("localhost", "::1") or host.startswith("127."):
        return None
    if urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(scheme)


class _Coming:
    """An answer, as `http1.Connection` tells it."""

    def __init__(self, response: httpcore2.Response) -> None:
        self.status = response.status
        self.headers: Headers = response.headers
        stream: Any = response.stream
        self._stream = stream
        self._pieces: AsyncIterator[bytes] = aiter(stream)

    async def piece(self, seconds: float) -> bytes:
        try:
            async with asyncio.timeout(seconds):
                while not (piece := await anext(self._pieces)):
                    pass
                return bytes(piece)
        except StopAsyncIteration:
            return b""
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise Broken(type(error).__name__) from error

    async def leave(self) -> None:
        await self._stream.aclose()


class Detour:
    """Stands where a Pool does."""

    def __init__(self, url: SplitResult, *, proxy: str, limits: httpx2.Limits) -> None:
        self._url = httpx2.URL(f"{url.scheme}://{url.netloc}/")
        # The transport knows what each kind of proxy wants.
        self._pool = httpx2.AsyncHTTPTransport(limits=limits, proxy=proxy)._pool
        self._leaving: set[asyncio.Task[None]] = set()

    async def ask(
        self, request: Outgoing, *, connect_seconds: float, first_byte_seconds: float
    ) -> _Coming:
        """See Pool."""
        asked = httpcore2.Request(
            request.method,
            # Byte for byte what the client asked for.
            httpcore2.URL(
                scheme=self._url.raw_scheme,
                host=self._url.raw_host,
                port=self._url.port,
                target=request.target,
            ),
            headers=request.headers,
            content=request.body,
            extensions={"timeout": {"connect": connect_seconds, "pool": connect_seconds}},
        )
        try:
            async with asyncio.timeout(connect_seconds + first_byte_seconds):
                return _Coming(await self._pool.handle_async_request(asked))
        except httpcore2.ConnectTimeout as error:
            raise NotAccepted from error
        except httpcore2.PoolTimeout as error:
            raise NoneFree from error
        except (
            httpcore2.NetworkError,
            httpcore2.ProtocolError,
            httpcore2.ProxyError,
            httpcore2.TimeoutException,
            httpcore2.UnsupportedProtocol,
        ) as error:
            raise Broken(type(error).__name__) from error

    def give(self, coming: _Coming) -> None:
        """In a task of its own: a client that leaves must not keep the connection open."""
        leaving = asyncio.ensure_future(coming.leave())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        await asyncio.gather(*self._leaving, return_exceptions=True)
        await self._pool.aclose()
