"""An OpenAI-compatible server that says what a test tells it to, over a real socket.

It remembers the exact bytes of every request, and can be slow, silent, or break off.

    with FakeUpstream() as upstream:
        upstream.reply(completion("Paris."))
        ...  # talk to upstream.url
        assert upstream.seen[0].body == b"..."
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


class Cut:
    """In a reply: the connection is closed here, in the middle of things."""


class Hang:
    """In a reply: nothing more comes until the other side closes the connection."""


Piece = bytes | float | type[Cut] | type[Hang]
"""Bytes to send, seconds to wait, or one of the two disasters."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request as it came over the wire."""

    head: bytes
    method: str
    target: str
    headers: list[tuple[str, str]]
    """In order, names in their own case."""
    body: bytes
    at: float
    """time.monotonic() when it had come in."""

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What to answer."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    pieces: Sequence[Piece] = ()
    framing: str = "length"
    """length, chunked, or none (the end of the connection is the end of the body)."""
    recorded: bytes | None = None
    """A whole response as it was once seen on the wire, head included; sent as it is."""
    before: Sequence[Piece] = ()
    """Waits or disasters before the head."""


def answer(body: bytes, *, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Reply:
    """A JSON answer with these exact bytes."""
    return Reply(
        status=status, headers=[("Content-Type", "application/json"), *headers], pieces=[body]
    )


def completion(text: str, **headers: str) -> Reply:
    """A plain chat completion that says `text`."""
    body = {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }  # fmt: skip
    return answer(json.dumps(body).encode(), headers=list(headers.items()))


def delta(text: str) -> bytes:
    """One event of a streamed chat completion."""
    chunk = {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
    }  # fmt: skip
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def events(*pieces: Piece, framing: str = "chunked") -> Reply:
    """A stream of events."""
    return Reply(
        headers=[("Content-Type", "text/event-stream; charset=utf-8")],
        pieces=pieces,
        framing=framing,
    )


def streamed(text: str, *, pause: float = 0.0) -> Reply:
    """A streamed chat completion that says `text` word by word."""
    words = text.split(" ")
    deltas = [delta(w if i == 0 else " " + w) for i, w in enumerate(words)]
    return events(*(p for d in deltas for p in (d, pause)), DONE)


@dataclass
class FakeUpstream:
    """Runs in a thread of its own. Replies are given in order; the last one is repeated. A
    callable in place of a reply is asked for one with the request it has seen."""

    seen: list[Seen] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    """time.monotonic() whenever the other side closed in the middle of an answer."""
    unfinished: list[Seen] = field(default_factory=list)
    """The requests whose answers were left so."""
    url: str = ""

    def __enter__(self) -> FakeUpstream:
        self._replies: list[Reply | Callable[[Seen], Reply]] = [completion("Hello.")]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._in_loop(
            asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=2048)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._in_loop(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def reply(self, *replies: Reply | Callable[[Seen], Reply]) -> None:
        """What to answer from now on."""
        self._replies = list(replies)

    def wait_seen(self, count: int = 1, seconds: float = 5.0) -> None:
        """Waits until so many requests have come in."""
        self._wait(lambda: len(self.seen) >= count, f"{count} requests", seconds)

    def wait_left(self, count: int = 1, seconds: float = 5.0) -> None:
        """Waits until the other side has left so often."""
        self._wait(lambda: len(self.left) >= count, f"{count} departures", seconds)

    @staticmethod
    def _wait(happened: Callable[[], bool], what: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < end, f"{what} did not come within {seconds} s"
            time.sleep(0.002)

    def _in_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _stop(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request: Seen | None = None
        try:
            while (request := await _request(reader)) is not None:
                self.seen.append(request)
                reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
                if callable(reply):
                    reply = reply(request)
                if not await self._answer(reply, request, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            self._was_left(request)
        finally:
            writer.close()

    def _was_left(self, request: Seen | None) -> None:
        self.left.append(time.monotonic())
        if request is not None:
            self.unfinished.append(request)

    async def _answer(
        self,
        reply: Reply,
        request: Seen,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """True if the connection stays open for another request."""
        departure = asyncio.ensure_future(reader.read(1))
        try:
            if reply.recorded is not None:
                writer.write(reply.recorded)
                await writer.drain()
                return False
            for piece in (*reply.before, _head(reply), *reply.pieces):
                if piece is Cut:
                    writer.transport.abort()
                    return False
                if piece is Hang or isinstance(piece, float):
                    await asyncio.wait((departure,), timeout=None if piece is Hang else piece)
                elif isinstance(piece, bytes):
                    head = piece.startswith(b"HTTP/1.1 ")
                    if request.method == "HEAD" and not head:
                        continue
                    if reply.framing == "chunked" and not head and piece:
                        piece = b"%x\r\n%s\r\n" % (len(piece), piece)
                    writer.write(piece)
                    await writer.drain()
                if departure.done():
                    self._was_left(request)
                    return False
            if reply.framing == "chunked":
                writer.write(b"0\r\n\r\n")
                await writer.drain()
            return reply.framing != "none"
        finally:
            departure.cancel()
            await asyncio.gather(departure, return_exceptions=True)


def _head(reply: Reply) -> bytes:
    headers = list(reply.headers)
    if reply.framing == "length":
        size = sum(len(p) for p in reply.pieces if isinstance(p, bytes))
        if not any(k.lower() == "content-length" for k, _ in headers):
            headers.append(("Content-Length", str(size)))
    elif reply.framing == "chunked":
        headers.append(("Transfer-Encoding", "chunked"))
    lines = [f"HTTP/1.1 {reply.status} Whatever", *(f"{k}: {v}" for k, v in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


async def _request(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = [(k, v.strip()) for k, v in (line.split(":", 1) for line in lines)]
    lower = {k.lower(): v for k, v in headers}
    body = b""
    if lower.get("transfer-encoding") == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(lower.get("content-length", "0")))
    return Seen(
        head=head, method=method, target=target, headers=headers, body=body, at=time.monotonic()
    )
