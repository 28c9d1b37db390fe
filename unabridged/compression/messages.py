"""The texts of a request of the Anthropic Messages API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from unabridged.compression.body import Body, Text
from unabridged.compression.speech import (
    CACHED,
    Speech,
    by_index,
    forced,
    marks,
    spoken,
    up_to_mark,
)
from unabridged.policies.policy import Kind

_Marked = Iterator[tuple[Speech | None, bool]]


def speeches(body: Body, kinds: Mapping[int, Kind]) -> Iterator[Speech]:
    """The texts of `system` and of the messages in the order of the body. `kinds` are the kinds
    that a policy gives to whole messages, by index. Thinking, redacted thinking, pictures and
    files are not among them."""
    messages = body.tree.get("messages")
    known = messages if isinstance(messages, list) else []
    # The provider reads the system first, wherever it stands in the body.
    spoken_first = [*_system(body.tree.get("system")), *_messages(known, kinds)]
    found = list(up_to_mark(spoken_first))
    if body.value("cache_control") is not None:
        found = [s if s.named else s.kept(CACHED) for s in found]
    yield from sorted(found, key=lambda speech: speech.text.start)


def _system(system: Any) -> _Marked:
    if isinstance(system, Text):
        yield spoken(system, role="system", turn=0), False
    for block in _blocks(system):
        if isinstance(block.get("text"), Text):
            yield spoken(block["text"], role="system", turn=0), marks(block)


def _messages(messages: list[Any], kinds: Mapping[int, Kind]) -> _Marked:
    by_number = by_index(kinds, len(messages))
    begun = 0
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        role, content = message.get("role"), message.get("content")
        blocks = list(_blocks(content))
        # What a tool returns is sent as the user's message, but belongs to the call before it.
        returned = any(block.get("type") == "tool_result" for block in blocks)
        begun += role in ("user", "assistant") and not returned
        turn = max(0, begun - 1)
        if isinstance(content, Text):
            yield forced(spoken(content, role=role, turn=turn), by_number.get(index)), False
        for block in blocks:
            for speech in _block(block, role, turn):
                yield forced(speech, by_number.get(index)), False
            # What a tool returns can be marked inside.
            yield None, any(map(marks, (block, *_blocks(block.get("content")))))


def _block(block: dict[str, Any], role: object, turn: int) -> Iterator[Speech]:
    kind = block.get("type")
    if kind == "text" and isinstance(block.get("text"), Text):
        yield spoken(block["text"], role=role, turn=turn)
    elif kind == "tool_result":
        content = block.get("content")
        inner = [b.get("text") for b in _blocks(content) if b.get("type") == "text"]
        for text in (content, *inner):
            if isinstance(text, Text):
                speech = spoken(text, role="tool", turn=turn)
                failed = block.get("is_error") is True
                yield speech.kept("what a tool says of its failure") if failed else speech
    elif kind == "document":
        yield from _document(block, turn)


def _document(block: dict[str, Any], turn: int) -> Iterator[Speech]:
    source = block.get("source")
    if not isinstance(source, dict) or source.get("type") != "text":
        return
    text = source.get("data")
    if not isinstance(text, Text):
        return
    speech = replace(
        spoken(text, role="user", turn=turn),
        treatment="document",
        kind="document",
        why="document block",
    )
    citations = block.get("citations")
    if isinstance(citations, dict) and citations.get("enabled") is True:
        speech = speech.kept("citations count its characters")
    yield speech


def _blocks(content: Any) -> Iterator[dict[str, Any]]:
    yield from (b for b in (content if isinstance(content, list) else ()) if isinstance(b, dict))
