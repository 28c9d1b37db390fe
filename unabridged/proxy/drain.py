"""Reads an answer to its end although the client has gone, to know what it used."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from unabridged.proxy.headers import Headers
from unabridged.proxy.relay import Filter
from unabridged.proxy.request import CUT_OFF
from unabridged.proxy.upstream import Call, Opened, Upstream

AHEAD = 64
"""Pieces that may be read before the client has taken them."""

Watch = Callable[[int, Headers], Filter]
"""Gives what looks at an answer with this status and these headers."""


class _Pumped:
    """An answer that a task of its own reads, so that its reader can be cancelled."""

    def __init__(self, upstream: Upstream, call: Call) -> None:
        self.status = 0
        self.headers: Headers = []
        self._head: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody may be left to look at its error.
        self._head.add_done_callback(lambda head: head.cancelled() or head.exception())
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(AHEAD)
        self._task = asyncio.create_task(self._pump(upstream, call))

    async def head(self) -> None:
        """Waits for status and headers. Raises what the upstream raises."""
        await asyncio.shield(self._head)

    async def pieces(self) -> AsyncIterator[bytes]:
        while True:
            piece = await self._queue.get()
            if piece is None:
                return
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _pump(self, upstream: Upstream, call: Call) -> None:
        try:
            async with upstream.stream(call) as opened:
                self.status, self.headers = opened.status, opened.headers
                self._head.set_result(None)
                async for piece in opened.pieces():
                    await self._queue.put(piece)
            await self._queue.put(None)
        except Exception as error:
            if not self._head.done():
                self._head.set_exception(error)
            await self._queue.put(error)


@asynccontextmanager
async def drained(
    upstream: Upstream, call: Call, watch: Watch, *, seconds: float
) -> AsyncIterator[Opened]:
    """Like `upstream.stream(call)`; but when the work inside is cancelled, the answer is read
    on for so many seconds at most, through what `watch` gives for it. Not when the server ends: it
    does not wait for so long, and what is not charged by then is lost."""
    pumped = _Pumped(upstream, call)
    try:
        await pumped.head()
        yield pumped
    except asyncio.CancelledError as cancelled:
        if CUT_OFF not in cancelled.args:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(seconds):
                    await pumped.head()
                    through = watch(pumped.status, pumped.headers)
                    async for piece in pumped.pieces():
                        through.feed(piece)
                    through.flush()
        raise
    finally:
        await pumped.stop()
