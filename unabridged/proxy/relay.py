"""Passes requests and answers through byte for byte, both ways as they come."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Protocol

from starlette.types import Send

from unabridged.proxy.dialect import OPENAI, Dialect, dialect_of
from unabridged.proxy.errors import ShuttingDown, UpstreamDown, UpstreamSlow
from unabridged.proxy.headers import Headers, first, to_client
from unabridged.proxy.http1 import BODYLESS
from unabridged.proxy.request import CUT_OFF, Request
from unabridged.proxy.sse import Watch, is_event_stream
from unabridged.proxy.upstream import Call, Opened, Upstream


class Filter(Protocol):
    """Rewrites a stream as it passes. How it is chopped does not change what comes out."""

    def feed(self, piece: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class Untouched:
    """The Filter of a stream that is passed on as it is."""

    def feed(self, piece: bytes) -> bytes:
        return piece

    def flush(self) -> bytes:
        return b""


@dataclass(frozen=True, slots=True)
class Chain:
    """A Filter of two, one after the other."""

    first: Filter
    second: Filter

    def feed(self, piece: bytes) -> bytes:
        return self.second.feed(self.first.feed(piece))

    def flush(self) -> bytes:
        return self.second.feed(self.first.flush()) + self.second.flush()


async def relay(request: Request, send: Send, upstream: Upstream) -> None:
    """Any path but the ones that are treated specially. Raises before the first byte of the
    answer only, but for ClientGone."""
    call = Call(method=request.method, target=request.target, headers=request.headers)
    if request.has_body:
        call = replace(call, body=request.pieces())
    else:
        await request.body()

    async def work() -> None:
        async with upstream.stream(call) as opened:
            request.abandon_body()
            headers = to_client(opened.headers, receipt=[], changed=False, length=None)
            await pass_on(opened, send, headers, dialect=dialect_of(request.path))

    await request.while_there(work())


async def pass_on(
    opened: Opened,
    send: Send,
    headers: Headers,
    through: Filter | None = None,
    *,
    dialect: Dialect = OPENAI,
) -> Exception | None:
    """Hands an answer to the client piece by piece; returns what broke it off, if anything.

    An event stream that breaks off ends with an error event. Any other answer, and a stream whose
    length was told, is left incomplete, so that the server closes the connection and the client
    can tell.
    """
    through = through or Untouched()
    events = is_event_stream((first(opened.headers, b"content-type") or b"").decode("latin-1"))
    if events and first(headers, b"x-accel-buffering") is None:
        headers = [*headers, (b"x-accel-buffering", b"no")]
    if opened.status in BODYLESS:
        # It may tell the length of what is not sent; the server would miss that.
        headers = [(k, v) for k, v in headers if k.lower() != b"content-length"]
    await send({"type": "http.response.start", "status": opened.status, "headers": headers})
    open_ended = events and first(headers, b"content-length") is None
    watch = Watch()
    try:
        async for piece in opened.pieces():
            out = through.feed(piece)
            if out:
                watch.see(out)
                await send({"type": "http.response.body", "body": out, "more_body": True})
        if events and not watch.ended and not _framed(opened.headers):
            raise UpstreamDown("the upstream closed the connection in mid-answer")
        await send({"type": "http.response.body", "body": through.flush(), "more_body": False})
        return None
    except (UpstreamDown, UpstreamSlow) as error:
        if open_ended:
            await _break_off(send, through, watch, dialect.event(error))
        return error
    except asyncio.CancelledError as cancelled:
        if open_ended and CUT_OFF in cancelled.args:
            await _break_off(send, through, watch, dialect.event(ShuttingDown(CUT_OFF)))
        raise


async def _break_off(send: Send, through: Filter, watch: Watch, event: bytes) -> None:
    last = through.flush()
    watch.see(last)
    # An event that was cut off is closed first, or the error would be a part of it.
    last += b"" if watch.between_events else b"\n\n"
    await send({"type": "http.response.body", "body": last + event, "more_body": False})


def _framed(headers: Headers) -> bool:
    """True if HTTP itself tells the end of a body from a lost connection."""
    return any(k.lower() in (b"transfer-encoding", b"content-length") for k, _ in headers)
