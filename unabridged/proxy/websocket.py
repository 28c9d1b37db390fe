"""Relays a WebSocket (the realtime API) both ways, message by message, as it is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from unabridged.proxy.destination import Destination
from unabridged.proxy.detour import environment_proxy
from unabridged.proxy.errors import UpstreamDown, UpstreamSlow
from unabridged.proxy.headers import Headers
from unabridged.proxy.request import Request
from unabridged.proxy.upstream import Call

KEY_PROTOCOL = "openai-insecure-api-key."
"""Browsers cannot set headers, so they put a key among the protocols."""


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        # It would be followed with the headers that hold a key, but for the best known one.
        return exc


async def relay_socket(
    scope: Scope, receive: Receive, send: Send, request: Request, destination: Destination
) -> None:
    """Opens the upstream's socket first: what it refuses is refused in its own words.

    Raises UpstreamDown and UpstreamSlow before the client's socket is open.
    """
    await receive()  # websocket.connect
    settings = destination.upstream.settings
    url = "ws" + settings.url.rstrip("/").removeprefix("http") + request.target.decode("latin-1")
    parts = urlsplit(settings.url)
    call = Call(method="GET", target=request.target, headers=request.headers)
    headers = destination.addressed(call).headers
    try:
        upstream = await _Connect(
            url,
            additional_headers=[
                (k.decode("latin-1"), v.decode("latin-1")) for k, v in headers if _goes_on(k)
            ],
            subprotocols=_protocols(scope, own=destination.takes_no_key_of_the_caller) or None,
            user_agent_header=None,
            compression=None,
            max_size=None,
            open_timeout=settings.connect_seconds + settings.first_byte_seconds,
            proxy=environment_proxy(parts.scheme, parts.hostname or ""),
        )
    except InvalidStatus as refused:
        answer = refused.response
        kept = [(b"content-type", answer.headers.get("content-type", "text/plain").encode())]
        return await refuse(scope, send, answer.status_code, bytes(answer.body or b""), kept)
    except TimeoutError as error:
        raise UpstreamSlow(f"upstream {destination.name!r} did not open a WebSocket") from error
    except (OSError, WebSocketException, ImportError) as error:
        # ImportError: of what a SOCKS proxy would need.
        raise UpstreamDown(
            f"upstream {destination.name!r} opened no WebSocket ({type(error).__name__})"
        ) from error
    async with upstream:
        await send({"type": "websocket.accept", "subprotocol": upstream.subprotocol})
        await _both_ways(receive, send, upstream)


async def refuse(scope: Scope, send: Send, status: int, body: bytes, headers: Headers) -> None:
    """An HTTP answer instead of a socket; where the server cannot give one, a plain refusal."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        return await send({"type": "websocket.close", "code": 1008})
    start = {"type": "websocket.http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": body})


async def _both_ways(receive: Receive, send: Send, upstream: ClientConnection) -> None:
    ways = [
        asyncio.ensure_future(_to_upstream(receive, upstream)),
        asyncio.ensure_future(_to_client(send, upstream)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _to_upstream(receive: Receive, upstream: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            message: Message = await receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code", 1000)
                await upstream.close(code if _sendable(code) else 1000)
                return
            text = message.get("text")
            await upstream.send(text if text is not None else message["bytes"])


async def _to_client(send: Send, upstream: ClientConnection) -> None:
    try:
        while True:
            said = await upstream.recv()
            key = "text" if isinstance(said, str) else "bytes"
            await send({"type": "websocket.send", key: said})
    except ConnectionClosed:
        code = upstream.close_code or 1011
        reason = upstream.close_reason or ""
        await send(
            {
                "type": "websocket.close",
                "code": code if _sendable(code) else 1011,
                "reason": reason,
            }
        )


def _goes_on(name: bytes) -> bool:
    """The handshake's own headers are each connection's own."""
    return not name.lower().startswith(b"sec-websocket-") and name.lower() not in (
        b"host",
        b"content-length",
    )


def _protocols(scope: Scope, *, own: bool) -> list[Subprotocol]:
    offered = scope.get("subprotocols") or []
    return [Subprotocol(p) for p in offered if not (own and p.startswith(KEY_PROTOCOL))]


def _sendable(code: int) -> bool:
    """True if a close frame may carry it (RFC 6455 section 7.4)."""
    return code in (1000, 1001, 1002, 1003, *range(1007, 1015)) or 3000 <= code < 5000
