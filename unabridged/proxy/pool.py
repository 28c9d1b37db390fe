"""Connections to one server, kept open between requests."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import deque

import aiohappyeyeballs

from unabridged.proxy.http1 import Broken, Connection, Outgoing

_NEXT_ADDRESS_SECONDS = 0.25
"""How long one of a host's addresses is tried alone (RFC 8305)."""


class NoneFree(Exception):
    """All connections are taken."""


class NotAccepted(Exception):
    """The server did not accept a connection in time."""


class Pool:
    """Gives each request a connection, of those that rest the one that does so for the shortest
    time."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        most: int,
        most_idle: int,
        idle_seconds: float,
    ) -> None:
        self._address = (host, port)
        self._tls = tls
        self._turns = asyncio.Semaphore(most)
        self._most_idle = most_idle
        self._idle_seconds = idle_seconds
        self._open: set[Connection] = set()
        self._idle: deque[tuple[float, Connection]] = deque()
        """Each with the time since which it rests; the oldest first."""
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """All that are open."""
        return len(self._open)

    @property
    def busy(self) -> int:
        """Those with a request on them."""
        return len(self._open) - len(self._idle)

    async def ask(
        self, request: Outgoing, *, connect_seconds: float, first_byte_seconds: float
    ) -> Connection:
        """Sends a request and waits for the head of its answer; `give` the connection back when
        its body was read, or is not wanted.

        Raises NoneFree and NotAccepted after `connect_seconds`, TimeoutError if no answer comes
        within `first_byte_seconds`, Broken, and whatever the pieces of the body raise.
        """
        connection = await self._take(connect_seconds)
        try:
            await connection.send(request, seconds=first_byte_seconds)
            await connection.head(first_byte_seconds)
        except BaseException:
            connection.close()
            self.give(connection)
            raise
        return connection

    def give(self, connection: Connection) -> None:
        """Kept for the next request, or closed."""
        if connection.free and len(self._idle) < self._most_idle:
            self._idle.append((time.monotonic(), connection))
            if self._sweep is None:
                self._look_in(self._idle_seconds)
        else:
            connection.close()
        self._turns.release()

    async def close(self) -> None:
        """All, at once."""
        for connection in list(self._open):
            connection.close()
        if self._sweep is not None:
            self._sweep.cancel()

    async def _take(self, seconds: float) -> Connection:
        if self._turns.locked():
            await self._turn(seconds)
        else:
            await self._turns.acquire()
        if self._idle:
            return self._idle.pop()[1]
        try:
            async with asyncio.timeout(seconds):
                return await self._connect()
        except BaseException as error:
            self._turns.release()
            if isinstance(error, TimeoutError):
                raise NotAccepted from error
            if isinstance(error, (OSError, UnicodeError)):
                raise Broken(type(error).__name__) from error
            raise

    async def _turn(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._turns.acquire()
        except TimeoutError:
            raise NoneFree from None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        host, port = self._address
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        sock = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, interleave=1, loop=loop
        )
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _, connection = await loop.create_connection(
                lambda: Connection(self._gone),
                sock=sock,
                ssl=self._tls,
                server_hostname=host if self._tls else None,
            )
        except BaseException:
            sock.close()
            raise
        self._open.add(connection)
        return connection

    def _gone(self, connection: Connection) -> None:
        self._open.discard(connection)
        for place, (_, idle) in enumerate(self._idle):
            if idle is connection:
                del self._idle[place]
                return

    def _look_in(self, seconds: float) -> None:
        self._sweep = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Closes what has rested for too long."""
        self._sweep = None
        oldest = time.monotonic() - self._idle_seconds
        while self._idle and self._idle[0][0] <= oldest:
            self._idle.popleft()[1].close()
        if self._idle:
            self._look_in(max(0.1, self._idle[0][0] - oldest))
