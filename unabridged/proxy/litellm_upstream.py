"""Providers that are not shaped like OpenAI, through litellm's router.

litellm is imported on first use, and it works in a thread with an event loop of its own: its
translating takes longer than ours may be held up.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from unabridged.policies import config
from unabridged.proxy.errors import BadBody, TooLarge, UpstreamDown, UpstreamSlow, kind
from unabridged.proxy.estimate import refers
from unabridged.proxy.headers import Headers
from unabridged.proxy.litellm_loading import load_litellm
from unabridged.proxy.litellm_request import asked_in, check_shape, whole
from unabridged.proxy.upstream import Answer, Call, Opened

T = TypeVar("T")

METHODS = {
    "/chat/completions": "acompletion",
    "/completions": "atext_completion",
    "/embeddings": "aembedding",
    "/messages": "aanthropic_messages",
    "/responses": "aresponses",
}
"""Paths that a provider can be asked by, and the router's method for each."""

# fmt: off
FIELDS = frozenset((
    "model", "messages", "stream", "stream_options", "n", "stop", "temperature", "top_p", "top_k",
    "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs",
    "max_completion_tokens", "max_tokens", "seed", "user", "tools", "tool_choice",
    "parallel_tool_calls", "functions", "function_call", "response_format", "modalities", "audio",
    "verbosity", "prediction", "web_search_options", "reasoning_effort", "thinking",
    "service_tier", "metadata", "store", "prompt_cache_key", "safety_identifier", "cache_control",
    "prompt", "suffix", "echo", "best_of", "input", "dimensions", "encoding_format", "input_type",
    "instructions", "previous_response_id", "include", "max_output_tokens", "reasoning", "text",
    "truncation", "background", "system", "stop_sequences", "max_tool_calls", "output_config",
    "context_management", "container", "output_format", "prompt_cache_retention",
))
# fmt: on
"""Of a caller's body only these go on. litellm takes addresses, keys and settings of its own among
the arguments of a call, and those are the operator's alone."""
NO_GATEWAY = {"_skip_mcp_handler": True}
"""With tools: none of a caller's is to be run by litellm itself, as its gateway for tools would."""
WHOLE = frozenset(("cohere", "cohere_chat"))
"""Providers whose streams litellm 1.106.0 cannot read, though it asks for them: it takes the lines
of their events for JSON. They are asked for whole answers, which go on as streams."""


@dataclass(frozen=True, slots=True)
class _Told:
    """An answer that litellm gave, in the form of one that came over HTTP."""

    status: int
    headers: Headers
    _pieces: Callable[[], AsyncIterator[bytes]]

    def pieces(self) -> AsyncIterator[bytes]:
        return self._pieces()


class LitellmUpstream:
    """One provider. Its router retries, and asks other models, before the first byte."""

    def __init__(
        self, name: str, settings: config.Upstream, key: str | None, *, largest: int
    ) -> None:
        """`largest`: the most bytes of a request, for each is read whole."""
        self.name = name
        self._largest = largest
        self.settings = settings
        self.host = b""
        self._key = key
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()
        self._router: Any = None

    async def send(self, call: Call) -> Answer:
        async with self.stream(call) as opened:
            body = b"".join([piece async for piece in opened.pieces()])
            return Answer(status=opened.status, headers=opened.headers, body=body)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Opened]:
        method = METHODS.get(call.target.partition(b"?")[0].decode("latin-1"))
        if method is None or call.method != "POST":
            known = ", ".join(METHODS)
            yield _refused(404, f"upstream {self.name!r} answers POST {known} and nothing else")
            return
        try:
            asked = await self._read(method, call)
        except (BadBody, TooLarge) as error:
            # Not raised: a status is what says that nothing was asked of the provider.
            yield _refused(kind(error).status, str(error))
            return
        given = {name: value for name, value in asked.items() if name in FIELDS}
        await self._started()
        if method == "aresponses" and (why := self._refusal(asked)):
            yield _refused(400, why)
            return
        result = None
        try:
            result = await self._within(
                self._asked(method, given), self.settings.first_byte_seconds, "sent nothing"
            )
        except (UpstreamSlow, UpstreamDown):
            raise
        except Exception as error:
            yield self._failed(error)
            return
        try:
            yield self._told(result)
        finally:
            if hasattr(result, "aclose"):
                self._submit(_closed(result))

    async def close(self) -> None:
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    async def _read(self, method: str, call: Call) -> dict[str, Any]:
        """Raises BadBody and TooLarge."""
        raw = await whole(call, largest=self._largest)
        asked = await asyncio.to_thread(asked_in, call.headers, raw, largest=self._largest)
        check_shape(method, asked)
        return asked

    async def _started(self) -> None:
        try:
            await asyncio.to_thread(self._start)
        except Exception as error:
            raise UpstreamDown(
                f"litellm cannot be set up for upstream {self.name!r} ({type(error).__name__});"
                f" check upstreams.{self.name}.provider and params in the configuration"
            ) from error

    def _start(self) -> None:
        """Imports litellm and makes its router; takes seconds, once."""
        with self._starting:
            if self._loop is not None:
                return
            litellm = load_litellm()
            litellm.drop_params = True
            from litellm.router import Router

            loop = asyncio.new_event_loop()
            threading.Thread(
                target=loop.run_forever, name=f"unabridged-litellm-{self.name}", daemon=True
            ).start()
            making = asyncio.run_coroutine_threadsafe(_made(Router, self._means()), loop)
            try:
                self._router = making.result()
            except BaseException:
                loop.call_soon_threadsafe(loop.stop)
                raise
            self._loop = loop

    def _means(self) -> dict[str, Any]:
        settings = self.settings
        params: dict[str, Any] = {"model": f"{settings.provider}/*", **settings.params}
        if settings.provider in WHOLE:
            params.setdefault("fake_stream", True)
        if settings.url:
            params["api_base"] = settings.url
        if self._key is not None:
            params["api_key"] = self._key
        return {
            "model_list": [{"model_name": "*", "litellm_params": params}],
            "num_retries": settings.retries,
            "timeout": settings.first_byte_seconds,
            "fallbacks": [
                {name: list(others)} for name, others in settings.model_fallbacks.items()
            ],
            "disable_cooldowns": True,
        }

    async def _asked(self, method: str, given: Mapping[str, Any]) -> Any:
        more = dict(NO_GATEWAY) if "tools" in given else {}
        if method != "aanthropic_messages" or not given.get("stream"):
            return await getattr(self._router, method)(**given, **more)
        # litellm's own stream of messages needs packages of its gateway, and misses them only
        # after the provider was asked.
        from litellm.llms.anthropic.pass_through.messages import fake_stream_iterator

        message = await self._router.aanthropic_messages(**{**given, **more, "stream": False})
        stream = fake_stream_iterator.FakeAnthropicMessagesStreamIterator(message)
        stream.chunks[:] = [_complete(chunk, message["content"]) for chunk in stream.chunks]
        return stream

    def _refusal(self, asked: Mapping[str, Any]) -> str:
        """Why a response cannot be asked for; empty: it can."""
        if self._forgets(asked):
            return (
                f"{self.settings.provider} holds no earlier answers or templates: "
                "send the whole conversation in input"
            )
        tools = asked.get("tools")
        for tool in tools if isinstance(tools, list) else ():
            if isinstance(tool, dict) and str(tool.get("server_url")).startswith("litellm_proxy"):
                return "litellm's own gateway for tools is not served here: name an MCP server"
        return ""

    def _forgets(self, asked: Mapping[str, Any]) -> bool:
        """True if a response is asked for that goes on from what a server holds, and litellm would
        leave that out in silence: it makes a chat of the request where the provider has no API
        for responses, and knows no conversations."""
        from litellm.utils import ProviderConfigManager

        items = asked.get("input")
        if not refers(asked, items if isinstance(items, list) else []):
            return False
        native = ProviderConfigManager.get_provider_responses_api_config(
            str(self.settings.provider), str(asked.get("model")), self.settings.url or None
        )
        return native is None or "conversation" in asked

    def _told(self, result: Any) -> Opened:
        if not hasattr(result, "__aiter__"):
            body = _json(result)
            return _answer(200, body)
        events = aiter(result)

        async def pieces() -> AsyncIterator[bytes]:
            chat = True
            while True:
                try:
                    chunk = await self._within(
                        _next(events), self.settings.idle_seconds, "was silent in mid-answer"
                    )
                except (UpstreamSlow, UpstreamDown):
                    raise
                except Exception as error:
                    # What a provider says could hold a stretch of the prompt.
                    raise UpstreamDown(
                        f"upstream {self.name!r} broke off in mid-answer ({type(error).__name__})"
                    ) from error
                if chunk is None:
                    break
                event, chat = _event(chunk)
                yield event
            if chat:
                yield b"data: [DONE]\n\n"

        return _Told(200, [(b"content-type", b"text/event-stream")], pieces)

    def _failed(self, error: Exception) -> Opened:
        """The provider's refusal in OpenAI's envelope, as litellm maps it."""
        status = getattr(error, "status_code", None)
        if not isinstance(status, int) or not 400 <= status < 600:
            raise UpstreamDown(
                f"upstream {self.name!r} failed in litellm ({type(error).__name__})"
            ) from error
        told = getattr(error, "type", None) or "upstream_error"
        response = getattr(error, "response", None)
        wait = getattr(response, "headers", {}).get("retry-after")
        message = str(getattr(error, "message", "") or type(error).__name__)
        message = message.partition("\nTraceback")[0]
        code = getattr(error, "code", None)
        return _refused(
            status,
            message,
            type=str(told),
            param=getattr(error, "param", None),
            code=None if code is None else str(code),
            headers=[(b"retry-after", str(wait).encode())] if wait else [],
        )

    async def _within(self, work: Coroutine[Any, Any, T], seconds: float, what: str) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(self._submit(work))
        except TimeoutError as error:
            raise UpstreamSlow(f"upstream {self.name!r} {what} for {seconds:g} s") from error

    def _submit(self, work: Coroutine[Any, Any, T]) -> Any:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop)


async def _made(router: Any, means: Mapping[str, Any]) -> Any:
    return router(**means)


async def _next(events: Any) -> Any:
    """None at the end: StopAsyncIteration cannot cross from one loop to another."""
    return await anext(events, None)


async def _closed(result: Any) -> None:
    await result.aclose()


def _complete(chunk: bytes, content: Sequence[Mapping[str, Any]]) -> bytes:
    """An event with all of a `redacted_thinking` block, whose data litellm leaves out."""
    if b'"redacted_thinking"' not in chunk:
        return chunk
    name, _, data = chunk.partition(b"data: ")
    event = json.loads(data)
    event["content_block"] = content[event["index"]]
    return name + b"data: " + json.dumps(event).encode() + b"\n\n"


def _json(value: Any) -> bytes:
    if hasattr(value, "model_dump_json"):
        return str(value.model_dump_json(exclude_none=True)).encode()
    if isinstance(value, dict):
        value = {name: value[name] for name in value if name != "_hidden_params"}
    return json.dumps(value, ensure_ascii=False, default=str).encode()


def _event(chunk: Any) -> tuple[bytes, bool]:
    """A chunk as a server-sent event, and whether its stream ends with `[DONE]`."""
    if isinstance(chunk, (bytes, str)):
        raw = chunk if isinstance(chunk, bytes) else chunk.encode()
        return raw, False
    data = _json(chunk)
    said = getattr(chunk, "type", None) or (chunk.get("type") if isinstance(chunk, dict) else None)
    if said is None:
        return b"data: " + data + b"\n\n", True
    name = str(getattr(said, "value", said)).encode()
    return b"event: " + name + b"\ndata: " + data + b"\n\n", False


def _answer(status: int, body: bytes, headers: Headers | None = None) -> Opened:
    async def pieces() -> AsyncIterator[bytes]:
        yield body

    length = str(len(body)).encode()
    own = [(b"content-type", b"application/json"), (b"content-length", length)]
    return _Told(status, own + (headers or []), pieces)


def _refused(
    status: int,
    message: str,
    *,
    type: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
    headers: Headers | None = None,
) -> Opened:
    said = {"message": message, "type": type, "param": param, "code": code}
    return _answer(status, json.dumps({"error": said}, ensure_ascii=False).encode(), headers)
