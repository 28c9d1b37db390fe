"""What the page shows of the past: the overview, the requests, the budgets, and what is new."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast, get_args
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Engine
from starlette.requests import Request
from starlette.responses import StreamingResponse

from unabridged.proxy.admin import BadCall, NotPossible, Unknown, Work
from unabridged.proxy.levels import levels
from unabridged.proxy.overview import overview
from unabridged.proxy.page_answers import By, Event, Levels, Overview, RequestRow, Span, View
from unabridged.proxy.receipt_book import FACETS, BadPage, ReceiptBook
from unabridged.proxy.till import Till

FRESH_SECONDS = 1.0
"""How old an overview may be that is shown again."""
LEVELS_FRESH_SECONDS = 5.0
LOOK_SECONDS = 1.0
"""How often a listener is told what is new."""
QUIET_SECONDS = 15.0
LATE_MS = 5000
"""A receipt is written at most so long after the time it bears."""
MOST_LISTENERS = 50
MOST_TOLD = 50

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class PageViews:
    """Put together at start-up."""

    engine: Engine
    book: ReceiptBook
    till: Till
    clock: Callable[[], float] = time.time
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the server ends: then streams of events end too."""
    _known: dict[Any, tuple[float, Any]] = field(default_factory=dict)
    _locks: dict[Any, asyncio.Lock] = field(default_factory=dict)
    _listeners: int = 0

    def calls(self) -> dict[tuple[str, str], Work]:
        """By method and path."""
        return {
            ("GET", "/overview"): self._overview,
            ("GET", "/requests"): self._requests,
            ("GET", "/requests/{id}"): self._request,
            ("GET", "/events"): self._events,
            ("GET", "/levels"): self._all_levels,
        }

    async def levels(self) -> Levels:
        """How full all budgets are, as of a few seconds ago."""
        return await self._fresh(
            "levels", LEVELS_FRESH_SECONDS, lambda: levels(self.till, self.engine, self._now_ms)
        )

    @property
    def _now_ms(self) -> int:
        return int(self.clock() * 1000)

    async def _overview(self, request: Request) -> Overview:
        view = _one(request, "window", get_args(View), "day")
        span = _one(request, "span", get_args(Span), "last")
        by = _one(request, "by", get_args(By), "route")
        zone = request.query_params.get("time_zone", "UTC")
        try:
            ZoneInfo(zone)
        except (OSError, ValueError, KeyError):
            raise BadCall(f"unknown time zone {zone[:60]!r}; such as UTC or Asia/Seoul") from None

        async def look() -> Overview:
            return await asyncio.to_thread(
                lambda: overview(
                    self.engine,
                    now_ms=self._now_ms,
                    view=view,
                    span=span,
                    by=by,
                    time_zone=zone,
                )
            )

        found = await self._fresh((view, span, by, zone), FRESH_SECONDS, look)
        return cast(Overview, {**found, "budgets": await self.levels()})

    async def _requests(self, request: Request) -> Any:
        asked = dict(request.query_params)
        before, count = asked.pop("before", None), asked.pop("count", "50")
        wanted = {name: value for name, value in asked.items() if value or name not in FACETS}
        if not (count.isascii() and count.isdigit() and len(count) < 10):
            raise BadCall(f"count must be a number, not {count[:20]!r}")
        try:
            return await asyncio.to_thread(
                lambda: self.book.page(wanted=wanted, before=before, count=int(count))
            )
        except BadPage as error:
            raise BadCall(str(error)) from None

    async def _request(self, request: Request) -> Any:
        found = await asyncio.to_thread(self.book.open, request.path_params["id"])
        if found is None:
            raise Unknown("no such request is on record; receipts are kept for some weeks")
        return found

    async def _all_levels(self, request: Request) -> Levels:
        return await self.levels()

    async def _events(self, request: Request) -> StreamingResponse:
        if self._listeners >= MOST_LISTENERS:
            raise NotPossible(f"{MOST_LISTENERS} pages are listening already")
        headers = {"x-accel-buffering": "no"}
        return StreamingResponse(self._told(), headers=headers, media_type="text/event-stream")

    async def _told(self) -> AsyncIterator[bytes]:
        self._listeners += 1
        try:
            yield b"retry: 3000\n\n"
            seen = {row["id"] for row in await self._newest()}
            quiet = 0.0
            while not self.closing.is_set():
                await asyncio.sleep(LOOK_SECONDS)
                found = await self._newest()
                new = [row for row in found if row["id"] not in seen]
                seen = {row["id"] for row in found}
                quiet = 0.0 if new else quiet + LOOK_SECONDS
                if new:
                    event = Event(requests=new[:MOST_TOLD], missed=max(0, len(new) - MOST_TOLD))
                    yield f"event: requests\ndata: {json.dumps(event)}\n\n".encode()
                elif quiet >= QUIET_SECONDS:
                    quiet = 0.0
                    yield b": still here\n\n"
        finally:
            self._listeners -= 1

    async def _newest(self) -> list[RequestRow]:
        """One look for all who listen."""
        since = self._now_ms - LATE_MS
        return await self._fresh(
            "newest",
            LOOK_SECONDS / 2,
            lambda: asyncio.to_thread(self.book.since, since, most=1000),
        )

    async def _fresh(self, what: Any, seconds: float, look: Callable[[], Awaitable[T]]) -> T:
        """What was found lately, or what is found now: once for all who ask meanwhile."""
        if len(self._known) > 100:
            self._known.clear()
        async with self._locks.setdefault(what, asyncio.Lock()):
            at, known = self._known.get(what, (0.0, None))
            if known is not None and time.monotonic() - at <= seconds:
                return cast(T, known)
            found = await look()
            self._known[what] = (time.monotonic(), found)
            return found


def _one(request: Request, name: str, known: tuple[Any, ...], default: Any) -> Any:
    """The value of a query parameter. Raises BadCall."""
    value = request.query_params.get(name, default)
    if value not in known:
        raise BadCall(f"unknown {name} {value[:40]!r}; known: {', '.join(known)}")
    return known[known.index(value)]
