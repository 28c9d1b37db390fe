"""The connections to one upstream: opened when needed, used again, never more than allowed."""

from __future__ import annotations

import asyncio
import base64
import urllib.request
from collections import deque
from urllib.parse import SplitResult, unquote, urlsplit

import httpx2

from unabridged.proxy.connection import Broken, Connection
from unabridged.proxy.headers import Headers

IDLE_CONNECTIONS = 100
IDLE_SECONDS = 15.0
"""Shorter than the usual keep-alive of a server, so that it does not hang up just as we send."""
PORTS = {"http": 80, "https": 443}


class NoneFree(Exception):
    """All connections are in use."""


class Unreachable(Exception):
    """No connection could be made; the cause says why."""


class ConnectSlow(Exception):
    """Making the connection took longer than it may."""


class Pool:
    """Connections to one origin, directly or through the machine's HTTP proxy."""

    def __init__(self, origin: SplitResult, *, most: int) -> None:
        self._origin = origin
        self._most = most
        # The machine's own trust store, as the command-line tools of this machine have it.
        self._ssl = httpx2.create_ssl_context() if origin.scheme == "https" else None
        self._proxy = environment_proxy(origin.scheme, origin.hostname or "")
        forwards = self._proxy is not None and self._ssl is None
        self.prefix = f"{origin.scheme}://{origin.netloc}".encode() if forwards else b""
        """What stands before every target: a proxy that reads requests must know where to."""
        self.headers = _credential(self._proxy) if self._proxy and forwards else []
        """For the proxy alone."""
        self._idle: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._opening = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def size(self) -> int:
        """Connections that are open or being opened."""
        return len(self._all) + self._opening

    async def take(self, connect_seconds: float) -> Connection:
        """A connection that carries nothing. Raises NoneFree, ConnectSlow and Unreachable."""
        loop = asyncio.get_running_loop()
        end = loop.time() + connect_seconds
        while True:
            while self._idle:
                found = self._idle.pop()
                if found.open and found.idle_since > loop.time() - IDLE_SECONDS:
                    return found
                self._forget(found)
            if self.size < self._most:
                return await self._opened(connect_seconds)
            await self._freed(end - loop.time())

    async def close(self) -> None:
        for connection in list(self._all):
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)

    def _released(self, connection: Connection) -> None:
        if connection.open and connection in self._all:
            self._idle.append(connection)
            oldest = self._idle[0]
            late = oldest.idle_since < connection.idle_since - IDLE_SECONDS
            if late or len(self._idle) > IDLE_CONNECTIONS:
                self._forget(self._idle.popleft())
        else:
            self._forget(connection)
        self._wake()

    def _wake(self) -> None:
        """One of those who wait may look again."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter.set_result(None)

    def _forget(self, connection: Connection) -> None:
        self._all.discard(connection)
        connection.close()

    async def _freed(self, seconds: float) -> None:
        """Waits until a connection may be free. Raises NoneFree."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            raise NoneFree from None
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._wake()  # what was meant for this one is for the next
            raise

    async def _opened(self, seconds: float) -> Connection:
        self._opening += 1
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connected()
        except TimeoutError as error:
            raise ConnectSlow from error
        except (OSError, Broken) as error:
            raise Unreachable from error
        finally:
            self._opening -= 1
        self._all.add(connection)
        return connection

    async def _connected(self) -> Connection:
        loop = asyncio.get_running_loop()
        host, port = _address(self._origin)
        if self._proxy is None or self._ssl is None:
            at = _address(self._proxy or self._origin)
            _, made = await loop.create_connection(
                lambda: Connection(self._released), *at, ssl=self._ssl
            )
            return made
        transport, tunnel = await loop.create_connection(
            lambda: Tunnel(f"{host}:{port}", self._proxy), *_address(self._proxy)
        )
        try:
            await tunnel.ready
            made = Connection(self._released)
            secure = await loop.start_tls(transport, made, self._ssl, server_hostname=host)
        except BaseException:
            transport.abort()
            raise
        made.connection_made(secure)  # type: ignore[arg-type]
        return made


class Tunnel(asyncio.Protocol):
    """Asks the machine's proxy to be connected with an address (RFC 9110 section 9.3.6); `ready`
    is done when it is."""

    def __init__(self, address: str, proxy: SplitResult | None) -> None:
        self._address = address
        self._proxy = proxy
        self._came = b""
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        lines = [b"CONNECT %b HTTP/1.1" % self._address.encode()]
        headers: Headers = [(b"Host", self._address.encode())]
        headers += _credential(self._proxy) if self._proxy else []
        lines += [b"%b: %b" % header for header in headers]
        transport.write(b"\r\n".join([*lines, b"", b""]))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, whole, _ = self._came.partition(b"\r\n\r\n")
        if not whole or self.ready.done():
            return
        status = head.split(b" ")[1:2]
        if status and status[0].startswith(b"2"):
            self.ready.set_result(None)
        else:
            told = b"".join(status).decode("latin-1")
            self.ready.set_exception(Broken(f"the HTTP proxy of this machine answered {told}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(Broken("the HTTP proxy of this machine hung up"))


def environment_proxy(scheme: str, host: str) -> SplitResult | None:
    """HTTPS_PROXY and its kin, as every command-line tool understands them; never for loopback."""
    if host in ("localhost", "::1") or host.startswith("127."):
        return None
    if urllib.request.proxy_bypass(host):
        return None
    found = urllib.request.getproxies().get(scheme)
    return urlsplit(found if "://" in found else f"http://{found}") if found else None


def _address(parts: SplitResult) -> tuple[str, int]:
    return parts.hostname or "", parts.port or PORTS[parts.scheme]


def _credential(proxy: SplitResult) -> Headers:
    if not proxy.username:
        return []
    told = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return [(b"Proxy-Authorization", b"Basic " + base64.b64encode(told.encode()))]
