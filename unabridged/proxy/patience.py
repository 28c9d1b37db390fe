"""A time limit for what others do, which a late event loop of our own does not use up."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

TICKS = 10
LATE_SECONDS = 0.005
LONGEST_SECONDS = 2.0


class Patience:
    """Like `asyncio.timeout`: raises TimeoutError when `seconds` are over.

    They are counted in TICKS. One that the loop itself came LATE_SECONDS late to does not count:
    what was waited for may have come long ago, and only lies unread. After `longest` seconds it is
    over, however late the loop was.
    """

    def __init__(self, seconds: float, *, longest: float = LONGEST_SECONDS) -> None:
        self._tick = seconds / TICKS
        self._longest = max(longest, seconds)
        self._left = TICKS
        self._over = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._over.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._end = time.monotonic() + self._longest
        self._wait()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await self._over.__aexit__(kind, error, trace)

    def _wait(self) -> None:
        self._due = time.monotonic() + self._tick
        self._timer = self._loop.call_later(self._tick, self._passed)

    def _passed(self) -> None:
        now = time.monotonic()
        self._left -= now < self._due + LATE_SECONDS
        if self._left and now < self._end:
            self._wait()
        else:
            self._over.reschedule(self._loop.time())
