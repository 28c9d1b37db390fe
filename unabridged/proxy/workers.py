"""Threads for work that would hold up the event loop: few, with a short queue and a deadline."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from unabridged.compression.job import Cancelled

T = TypeVar("T")

LATE = 4.0
"""A job that is under way when its deadline passes may go on for this many times as long, if no
other waits: what it finds fills the cache for the next request."""


class QueueFull(Exception):
    """All threads are busy and as many jobs wait as may."""


class DeadlineMissed(Exception):
    """The work took longer than it may."""


class _Ticket:
    """One job's place in the queue, and whether its result is still wanted."""

    def __init__(self, workers: Workers, seconds: float | None) -> None:
        self._workers = workers
        self._gone = threading.Event()
        now = time.monotonic()
        self._deadline = None if seconds is None else now + seconds
        self._end = None if seconds is None else now + LATE * seconds

    def give_up(self) -> None:
        self._gone.set()

    def begin(self) -> None:
        """Raises Cancelled if the job waited so long that its result would come too late."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise Cancelled
        self.checkpoint()

    def checkpoint(self) -> None:
        """Raises Cancelled when the result is no longer wanted."""
        if self._gone.is_set():
            raise Cancelled
        if self._deadline is None or self._end is None:
            return
        now = time.monotonic()
        if now > self._end or (now > self._deadline and self._workers.waiting):
            raise Cancelled


class Workers:
    """A bounded pool of threads."""

    def __init__(self, *, threads: int, queue: int, name: str = "compress") -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"unabridged-{name}")
        self._threads = threads
        self._room = threads + queue
        self._inside = 0
        self._count = threading.Lock()

    @property
    def waiting(self) -> int:
        """Jobs that no thread has taken up yet."""
        return max(0, self._inside - self._threads)

    async def run(self, work: Callable[[Callable[[], None]], T], *, seconds: float | None) -> T:
        """What `work(checkpoint)` returns, computed in a thread.

        Raises QueueFull at once, DeadlineMissed after `seconds` (queueing included). If the
        caller is cancelled, `checkpoint` raises Cancelled in the thread from then on.
        """
        if self._inside >= self._room:
            raise QueueFull(f"{self._room} jobs are under way or waiting")
        ticket = _Ticket(self, seconds)

        def job() -> T:
            ticket.begin()
            try:
                return work(ticket.checkpoint)
            except StopIteration as error:
                # A future of the event loop takes any other; whoever waits would wait for ever.
                raise RuntimeError("StopIteration") from error

        with self._count:
            self._inside += 1
        future = self._pool.submit(job)
        future.add_done_callback(self._leave)
        waiter = asyncio.wrap_future(future)
        # Nobody may be left to look at what a late job raises.
        waiter.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(waiter)
        except TimeoutError:
            raise DeadlineMissed(f"not done within {(seconds or 0) * 1000:.0f} ms") from None
        except asyncio.CancelledError:
            ticket.give_up()
            future.cancel()
            raise

    def close(self) -> None:
        """Waits for nothing: jobs that have not begun are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _leave(self, _: object) -> None:
        with self._count:
            self._inside -= 1
