"""Few threads, a short queue, a deadline, and nobody works for a client that has gone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from unabridged.compression.job import Cancelled
from unabridged.proxy.workers import DeadlineMissed, QueueFull, Workers


@pytest.fixture
def one() -> Iterator[Workers]:
    workers = Workers(threads=1, queue=1)
    yield workers
    workers.close()


def test_a_job_gives_its_result_and_its_error(one: Workers) -> None:
    assert asyncio.run(one.run(lambda _: 7, seconds=1)) == 7
    with pytest.raises(ZeroDivisionError):
        asyncio.run(one.run(lambda _: 1 // 0, seconds=1))


def test_an_iterator_at_its_end_is_an_error_like_any_other(one: Workers) -> None:
    with pytest.raises(RuntimeError):
        asyncio.run(asyncio.wait_for(one.run(lambda _: next(iter("")), seconds=None), 2))


def test_one_job_too_many_is_refused_at_once_and_room_comes_back(one: Workers) -> None:
    go_on = threading.Event()

    async def main() -> None:
        jobs = [asyncio.ensure_future(one.run(lambda _: go_on.wait(5), seconds=5)) for _ in "ab"]
        await asyncio.sleep(0.05)
        with pytest.raises(QueueFull):
            await one.run(lambda _: True, seconds=5)
        go_on.set()
        assert await asyncio.gather(*jobs) == [True, True]
        assert await one.run(lambda _: True, seconds=5)

    asyncio.run(main())


def test_waiting_in_the_queue_counts_against_the_deadline(one: Workers) -> None:
    go_on = threading.Event()
    ran: list[int] = []

    async def main() -> None:
        first = asyncio.ensure_future(one.run(lambda _: go_on.wait(5), seconds=5))
        await asyncio.sleep(0.02)
        with pytest.raises(DeadlineMissed):
            await one.run(lambda _: ran.append(1), seconds=0.05)
        go_on.set()
        await first

    asyncio.run(main())
    one.close()
    assert ran == []


def test_a_late_job_may_finish_if_nobody_waits(one: Workers) -> None:
    finished = threading.Event()

    def slow(checkpoint: Callable[[], None]) -> None:
        time.sleep(0.1)
        checkpoint()
        finished.set()

    with pytest.raises(DeadlineMissed):
        asyncio.run(one.run(slow, seconds=0.05))
    assert finished.wait(1)


def test_a_late_job_makes_room_for_one_that_waits(one: Workers) -> None:
    stopped = threading.Event()

    def endless(checkpoint: Callable[[], None]) -> None:
        try:
            while True:
                checkpoint()
                time.sleep(0.005)
        except Cancelled:
            stopped.set()
            raise

    async def main() -> None:
        with pytest.raises(DeadlineMissed):
            await one.run(endless, seconds=0.1)
        assert await one.run(lambda _: 7, seconds=0.2) == 7

    asyncio.run(main())
    assert stopped.is_set()


def test_a_cancelled_job_stops_at_its_next_checkpoint(one: Workers) -> None:
    begun, stopped = threading.Event(), threading.Event()

    def endless(checkpoint: Callable[[], None]) -> None:
        begun.set()
        try:
            while True:
                checkpoint()
                time.sleep(0.005)
        except Cancelled:
            stopped.set()
            raise

    async def main() -> None:
        job = asyncio.ensure_future(one.run(endless, seconds=10))
        await asyncio.to_thread(begun.wait)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job

    asyncio.run(main())
    assert stopped.wait(0.1)


def test_a_cancelled_job_that_waits_is_never_begun(one: Workers) -> None:
    go_on, ran = threading.Event(), []

    async def main() -> None:
        first = asyncio.ensure_future(one.run(lambda _: go_on.wait(5), seconds=5))
        second = asyncio.ensure_future(one.run(lambda _: ran.append(1), seconds=5))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.sleep(0.02)
        go_on.set()
        await first
        assert await one.run(lambda _: 7, seconds=1) == 7

    asyncio.run(main())
    assert ran == []
