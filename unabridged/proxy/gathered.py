"""Calls that come while others are under way go out together as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
MOST = 64
"""Calls in one batch, so that its answer does not take long to read."""


class Gathered(Generic[T, R]):
    """A call of one thing, made of a call of many. Nobody waits for a batch to fill: the first
    goes at once, and what comes until its answer is here makes the next."""

    def __init__(self, send: Callable[[Sequence[T]], Awaitable[Sequence[R]]]) -> None:
        """`send` returns an outcome for each thing, or raises for all of them."""
        self._send = send
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def __call__(self, thing: T) -> R:
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((thing, outcome))
        if self._sending is None:
            self._sending = asyncio.ensure_future(self._all())
        return await outcome

    async def _all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._one(batch)
        finally:
            self._sending = None

    async def _one(self, batch: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            outcomes = await self._send([thing for thing, _ in batch])
        except Exception as error:
            for _, outcome in batch:
                if not outcome.done():
                    outcome.set_exception(error)
            return
        for (_, outcome), came in zip(batch, outcomes, strict=True):
            if not outcome.done():  # whoever asked may have gone
                outcome.set_result(came)
