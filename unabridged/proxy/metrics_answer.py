"""Answers Prometheus at /metrics, if it may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from unabridged.proxy.admin import bearer, same_key
from unabridged.proxy.callers import foreign
from unabridged.proxy.metrics import CONTENT_TYPE, Metrics
from unabridged.proxy.page_answers import Levels

PATH = "/metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsAnswer:
    """An ASGI application. Names of teams and models, and money, are for the operator: with any
    keys it wants the metrics key or the admin key; without, the caller must be on this machine.
    """

    metrics: Metrics
    levels: Callable[[], Awaitable[Levels]]
    keys: tuple[str, ...]
    """Any of them will do."""
    open: Callable[[], bool]
    """True while there are no keys of callers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        given = bearer(request)
        if self.keys or not self.open():
            if not any(same_key(given, key) for key in self.keys):
                said = "send the key of server.metrics_key_env as Authorization: Bearer\n"
                return Response(said, 401, {"www-authenticate": "Bearer"}, "text/plain")
        elif foreign(request.headers.get("host", "")):
            return Response("without keys only localhost is served\n", 403, None, "text/plain")
        if request.method != "GET":
            return Response("only GET\n", 405, {"allow": "GET"}, "text/plain")
        found = await self.levels()
        body = await asyncio.to_thread(
            lambda: self.metrics.text(found["levels"], store_down=found["store_down"])
        )
        return Response(body, headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})
