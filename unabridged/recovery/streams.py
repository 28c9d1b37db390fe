"""Which restorer a stream needs, by the surface that it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from unabridged.compression.body import Text
from unabridged.compression.prompt import Path
from unabridged.recovery import said
from unabridged.recovery.answer import Edit
from unabridged.recovery.event_stream import Delta, EventRestorer, Key, Shape, text_at
from unabridged.recovery.index import Index
from unabridged.recovery.said import SCORED, Said
from unabridged.recovery.stream import StreamRestorer, chunk_parts


class Restorer(Protocol):
    """Takes the bytes of a stream as they come and gives bytes to send."""

    edits: list[Edit]
    untouched: list[str]

    def feed(self, chunk: bytes) -> bytes: ...
    def flush(self) -> bytes: ...


def stream_restorer(index: Index, surface: str = "chat") -> Restorer:
    """What restores one stream."""
    return STREAMS[surface](index)


def _response_delta(event: dict[str, Any]) -> Delta | None:
    item = event.get("output_index", 0)
    if event.get("type") == "response.output_text.delta":
        part = event.get("content_index", 0)
        return Delta(
            key=(item, "text", part),
            field=("delta",),
            form="words",
            path=("output", item, "content", part, "text"),
            why_not=SCORED if event.get("logprobs") else "",
        )
    if event.get("type") == "response.function_call_arguments.delta":
        path = ("output", item, "arguments")
        return Delta(key=(item, "arguments"), field=("delta",), form="json", path=path)
    return None


def _response_ends(event: dict[str, Any]) -> Key | None:
    kind = str(event.get("type"))
    if kind.endswith(".done"):
        return (event["output_index"],) if "output_index" in event else ()
    ends = ("response.completed", "response.incomplete", "response.failed", "error")
    return () if kind in ends else None


def _done(field: str, form: said.Form) -> Callable[[dict[str, Any]], Iterator[Said]]:
    def whole(event: dict[str, Any]) -> Iterator[Said]:
        text = event.get(field)
        if isinstance(text, Text):
            yield Said(text=text, form=form, why_not=SCORED if event.get("logprobs") else "")

    return whole


def _response(event: dict[str, Any]) -> Iterator[Said]:
    return said.responses(event["response"])


RESPONSES = Shape(
    surface="responses",
    delta=_response_delta,
    ends=_response_ends,
    whole={
        "response.output_text.done": _done("text", "words"),
        "response.function_call_arguments.done": _done("arguments", "json"),
        "response.content_part.done": lambda event: said.response_part(event["part"], ""),
        "response.output_item.done": lambda event: said.response_item(event["item"], ""),
        "response.completed": _response,
        "response.incomplete": _response,
        "response.failed": _response,
    },
    leaves=lambda event: None,
    cites=lambda event: (
        event.get("type") == "response.created" and said.cites(event.get("response") or {})
    ),
)


def _message_delta(event: dict[str, Any]) -> Delta | None:
    if event.get("type") != "content_block_delta":
        return None
    block, kind = event["index"], event["delta"].get("type")
    if kind == "text_delta":
        path = ("content", block, "text")
        return Delta(key=(block,), field=("delta", "text"), form="words", path=path)
    if kind == "input_json_delta":
        path = ("content", block, "input")
        return Delta(key=(block,), field=("delta", "partial_json"), form="json", path=path)
    return None


def _message_ends(event: dict[str, Any]) -> Key | None:
    kind = event.get("type")
    if kind == "content_block_stop":
        return (event["index"],)
    return () if kind in ("message_delta", "message_stop", "error") else None


def _message_leaves(event: dict[str, Any]) -> Key | None:
    """The provider's own tools have used their input already."""
    if event.get("type") != "content_block_start":
        return None
    ours = event["content_block"].get("type") in ("text", "tool_use")
    return None if ours else (event["index"],)


MESSAGES = Shape(
    surface="messages",
    delta=_message_delta,
    ends=_message_ends,
    whole={},
    leaves=_message_leaves,
    cites=lambda event: False,
)

STREAMS: dict[str, Callable[[Index], Restorer]] = {
    "chat": StreamRestorer,
    "completions": StreamRestorer,
    "responses": lambda index: EventRestorer(index, RESPONSES),
    "messages": lambda index: EventRestorer(index, MESSAGES),
}
"""What restores the streams of each surface."""


def stream_texts(events: Iterable[Any], surface: str) -> dict[Path, str]:
    """What the events of a stream say, put together, by the place that each text has in the whole
    answer. Events of another shape say nothing."""
    found: dict[Path, str] = {}
    for event in events:
        try:
            for path, text in _PIECES[surface](event):
                found[path] = found.get(path, "") + text
        except (KeyError, TypeError, AttributeError):
            continue
    return found


def _chunk_pieces(event: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    for n, choice in enumerate(event.get("choices") or ()):
        for part in chunk_parts(choice, n):
            yield part.path, part.text


def _event_pieces(shape: Shape) -> Callable[[dict[str, Any]], Iterator[tuple[Path, str]]]:
    def pieces(event: dict[str, Any]) -> Iterator[tuple[Path, str]]:
        delta = shape.delta(event)
        if delta is not None:
            yield delta.path, text_at(event, delta.field)

    return pieces


_PIECES: dict[str, Callable[[dict[str, Any]], Iterator[tuple[Path, str]]]] = {
    "chat": _chunk_pieces,
    "completions": _chunk_pieces,
    "responses": _event_pieces(RESPONSES),
    "messages": _event_pieces(MESSAGES),
}
