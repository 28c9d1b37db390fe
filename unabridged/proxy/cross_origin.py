"""Lets pages of the configured sites use the API: a browser asks before it sends a key (CORS)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_EVERY = ("*",)


def for_sites(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """The same application, with answers that allow pages of these origins to read them."""

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, _without_sites(send))

    return CORSMiddleware(
        silent,
        allow_origins=origins,
        allow_methods=_EVERY,
        allow_headers=_EVERY,
        expose_headers=_EVERY,
    )


def _without_sites(send: Send) -> Send:
    """Leaves out which sites the upstream allows: beside ours, a browser would take neither."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            kept = [(k, v) for k, v in headers if not k.lower().startswith(b"access-control-")]
            message = {**message, "headers": kept}
        await send(message)

    return sending
