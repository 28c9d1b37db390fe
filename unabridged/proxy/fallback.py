"""Several upstreams for one route: who is asked first, and who when that one fails."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from unabridged.policies.choose import Choice
from unabridged.policies.config import Upstream as Settings
from unabridged.proxy.destination import Destination
from unabridged.proxy.errors import UpstreamBusy, UpstreamDown, UpstreamSlow, UpstreamUnreached
from unabridged.proxy.upstream import Answer, Call, Opened, Upstream

RETRIED = frozenset((408, 429, 500, 502, 503, 504, 529))
"""Statuses after which another upstream is asked, if there is one."""


@dataclass(slots=True, kw_only=True)
class Health:
    """Which upstreams have failed of late."""

    settings: Mapping[str, Settings]
    clock: Callable[[], float] = time.monotonic
    _failures: dict[str, int] = field(default_factory=dict)
    _until: dict[str, float] = field(default_factory=dict)

    def failed(self, name: str) -> None:
        """Once too often in a row, and it is passed over for a while."""
        self._failures[name] = self._failures.get(name, 0) + 1
        settings = self.settings[name]
        if self._failures[name] >= settings.failures:
            self._until[name] = self.clock() + settings.cooldown_seconds

    def worked(self, name: str) -> None:
        self._failures.pop(name, None)
        self._until.pop(name, None)

    def cooling(self, name: str) -> bool:
        """True while it is passed over."""
        return self.clock() < self._until.get(name, 0.0)

    def tried(self, name: str) -> None:
        """It is asked first now. If it was passed over until now, others go on with that until it
        is known what becomes of this one."""
        if name in self._until and not self.cooling(name):
            self._until[name] = self.clock() + self.settings[name].cooldown_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All upstreams, put together at start-up."""

    members: Mapping[str, Destination]
    health: Health
    draw: Callable[[], float] = random.random

    async def close(self) -> None:
        for member in self.members.values():
            await member.upstream.close()

    def line(self, choice: Choice) -> Line:
        """The upstreams of a request in the order in which they are asked: one drawn by its
        weight, then the others as they stand, those that cool down last."""
        names = [choice.upstream_name, *choice.fallbacks]
        if choice.weights:
            first = self._drawn(choice.weights, names)
            names.sort(key=lambda name: name != first)
        names.sort(key=self.health.cooling)
        self.health.tried(names[0])
        return Line([(name, self.members[name]) for name in names], self.health)

    def _drawn(self, weights: Mapping[str, float], names: Sequence[str]) -> str:
        well = [name for name in names if not self.health.cooling(name)] or list(names)
        at = self.draw() * sum(weights.get(name, 0.0) for name in well)
        for name in well:
            at -= weights.get(name, 0.0)
            if at < 0:
                return name
        return well[0]


@dataclass(frozen=True, slots=True)
class Line:
    """An Upstream that asks one after the other, until one answers. Nothing of an answer has
    gone to the client by then; a body that is still coming in can be sent only once."""

    members: Sequence[tuple[str, Upstream]]
    health: Health

    async def send(self, call: Call) -> Answer:
        async with self.stream(call) as opened:
            body = b"".join([piece async for piece in opened.pieces()])
            return Answer(status=opened.status, headers=opened.headers, body=body)

    def stream(self, call: Call) -> AbstractAsyncContextManager[Opened]:
        left = self.members if isinstance(call.body, bytes) else self.members[:1]
        return _InTurn(left, self.health, call)


class _InTurn:
    """The first answer that will do."""

    def __init__(self, members: Sequence[tuple[str, Upstream]], health: Health, call: Call) -> None:
        self._members = members
        self._health = health
        self._call = call
        self._answer: AbstractAsyncContextManager[Opened]

    async def __aenter__(self) -> Opened:
        taken: UpstreamSlow | None = None
        for number, (name, upstream) in enumerate(self._members, 1):
            last = number == len(self._members)
            answer = upstream.stream(self._call)
            try:
                opened = await answer.__aenter__()
            except (UpstreamDown, UpstreamSlow, UpstreamBusy) as error:
                self._health.failed(name)
                if isinstance(error, UpstreamSlow) and not isinstance(error, UpstreamUnreached):
                    taken = error
                if not last:
                    continue
                if taken is None or taken is error:
                    raise
                # One that has the request may ask money for it, so it was not for nothing.
                raise taken from error
            failed = opened.status in RETRIED
            (self._health.failed if failed else self._health.worked)(name)
            if last or not failed:
                self._answer = answer
                self._call.served(name)
                return opened
            await answer.__aexit__(None, None, None)
        raise AssertionError("a line has at least one upstream")

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._answer.__aexit__(*error)
