"""Others have the time that they were given; what our own loop wastes is not theirs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from unabridged.proxy.patience import Patience

RUNS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


async def answer_after(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "here"


async def block(loop_seconds: float, times: int = 1) -> None:
    """Keeps the loop from everything else, so often."""
    for _ in range(times):
        time.sleep(loop_seconds)  # noqa: ASYNC251
        await asyncio.sleep(0)


@RUNS
def test_what_comes_in_time_is_returned_and_what_does_not_is_given_up(
    run: Callable[..., Any],
) -> None:
    async def told() -> None:
        async with Patience(0.5):
            assert await answer_after(0.01) == "here"
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            async with Patience(0.1):
                await answer_after(5)
        assert 0.1 <= time.monotonic() - start < 0.5
        await asyncio.sleep(0.15)  # nothing of it comes after its end

    run(told())


@RUNS
def test_a_loop_that_is_blocked_for_longer_than_the_limit_uses_nothing_up(
    run: Callable[..., Any],
) -> None:
    """The answer came while nobody could read it."""

    async def told() -> None:
        reader, writer = await pair()
        blocking = asyncio.ensure_future(block(0.2, times=3))
        async with Patience(0.05):
            writer.write(b"here\n")
            assert await reader.readline() == b"here\n"
        await blocking
        writer.close()

    run(told())


@RUNS
def test_however_late_the_loop_is_there_is_an_end(run: Callable[..., Any]) -> None:
    async def told() -> None:
        blocking = asyncio.ensure_future(block(0.03, times=100))
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            async with Patience(0.05, longest=0.3):
                await asyncio.Event().wait()
        assert 0.3 <= time.monotonic() - start < 1
        blocking.cancel()

    run(told())


def test_a_cancellation_from_outside_stays_one() -> None:
    async def told() -> None:
        async def patient() -> None:
            async with Patience(5):
                await asyncio.Event().wait()

        waiting = asyncio.ensure_future(patient())
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(told())


async def pair() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Both ends of an echo."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    return await asyncio.open_connection("127.0.0.1", port)
