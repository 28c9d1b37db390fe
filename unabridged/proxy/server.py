"""uvicorn, set up for relaying byte for byte: how it listens, and how it leaves."""

from __future__ import annotations

import asyncio
import gc
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from unabridged.proxy.app import App
from unabridged.proxy.cork import Corked
from unabridged.proxy.live import Live
from unabridged.proxy.request import CUT_OFF

LAST_SECONDS = 5.0
"""Longest wait for answers that were cut off at the end to be charged."""


_TO_HTTP_2 = re.compile(rb"\r\nupgrade:[ \t]*h2c[^\r\n]*", re.IGNORECASE)


class Connection(HttpToolsProtocol):
    """One of a client."""

    def data_received(self, data: bytes) -> None:
        # Java's HttpClient and `curl --http2` offer to go on in HTTP/2. Who takes no notice answers
        # in HTTP/1.1; the parser would take the body for the other protocol and lose it.
        if b"h2c" in data and (self.cycle is None or not self.cycle.more_body):
            head = data.find(b"\r\n\r\n") + 4
            data = _TO_HTTP_2.sub(b"", data[:head]) + data[head:]
        super().data_received(data)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, Corked(transport)))


class Server(uvicorn.Server):
    """Serves one application, or the one that is in force."""

    def __init__(self, app: App | Live, on_ready: Callable[[str], None] | None = None) -> None:
        server = app.config.server
        self._serving = app
        self._exit_at: float | None = None
        self._on_ready = on_ready
        self._grace = server.grace_seconds
        super().__init__(
            uvicorn.Config(
                app,
                host=server.host,
                port=server.port,
                loop="uvloop" if sys.platform != "win32" else "asyncio",
                http=Connection,
                ws="websockets-sansio",
                ws_max_size=2**31 - 1,
                ws_per_message_deflate=False,
                lifespan="on",
                # The upstream's own Date and Server reach the client.
                server_header=False,
                date_header=False,
                proxy_headers=False,
                access_log=False,
                log_config=None,
                log_level="warning",
                timeout_keep_alive=75,
            )
        )

    @property
    def url(self) -> str:
        """What clients use as base_url. Known once the server has started."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._serving.leave()
        await super().shutdown(sockets)

    async def _wait_tasks_to_complete(self) -> None:
        """Answers may finish for so long. What is cut off then is waited for, too: it charges
        what it has cost and leaves its receipt, and the store closes after this."""
        try:
            async with asyncio.timeout(self._grace):
                await super()._wait_tasks_to_complete()
        except TimeoutError:
            cut = set(self.server_state.tasks)
            for task in cut:
                task.cancel(CUT_OFF)
            if cut:
                await asyncio.wait(cut, timeout=LAST_SECONDS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Readiness goes first, and some time later the server stops to listen. Whoever presses
        Ctrl-C, or asks twice, does not wait."""
        self._serving.retire()
        if sig != signal.SIGTERM or self._exit_at is not None:
            return super().handle_exit(sig, frame)
        self._exit_at = time.monotonic() + self._serving.config.server.unready_seconds
        self._captured_signals.append(sig)

    async def on_tick(self, counter: int) -> bool:
        if self._exit_at is not None and time.monotonic() >= self._exit_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Prices, tables and modules stay for ever: looking through them for garbage would hold up
        # every stream for a fifth of a second, time and again.
        gc.collect()
        gc.freeze()
        # What was spent lately is remembered for half a minute: 100,000 objects under load.
        gc.set_threshold(10_000, 20, 50)
        if self.started and self._on_ready is not None:
            self._on_ready(self.url)
