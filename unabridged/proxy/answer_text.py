"""What an answer says, in the form of any API: counted where its usage is not told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_WORDS = ("content", "reasoning_content", "reasoning", "refusal", "text", "thinking")
_ARGUMENTS = ("name", "arguments", "partial_json")


def answer_texts(answer: Any) -> Iterator[str]:
    """All that is billed as output in a whole answer: words, reasoning, calls of tools."""
    if not isinstance(answer, dict):
        return
    for choice in _dicts(answer.get("choices")):
        yield from piece_texts(choice.get("message"))
        yield from _strings(choice, ("text",))
    for item in (*_dicts(answer.get("output")), *_dicts(answer.get("content"))):
        yield from piece_texts(item)
        for part in (*_dicts(item.get("content")), *_dicts(item.get("summary"))):
            yield from _strings(part, _WORDS)
        if isinstance(item.get("input"), dict):
            yield json.dumps(item["input"], ensure_ascii=False)


def event_texts(event: dict[str, Any]) -> Iterator[str]:
    """The same of one event of a stream."""
    for choice in _dicts(event.get("choices")):
        yield from piece_texts(choice.get("delta"))
        yield from _strings(choice, ("text",))
    if isinstance(event.get("delta"), str):
        yield event["delta"]
    else:
        yield from piece_texts(event.get("delta"))


def piece_texts(piece: Any) -> Iterator[str]:
    """The texts of a `message`, a `delta`, an item or a block."""
    if not isinstance(piece, dict):
        return
    twice = "reasoning" if piece.get("reasoning") == piece.get("reasoning_content") else ""
    yield from _strings(piece, tuple(name for name in _WORDS if name != twice))
    functions = [call.get("function") for call in _dicts(piece.get("tool_calls"))]
    for function in (*functions, piece.get("function_call"), piece):
        if isinstance(function, dict):
            yield from _strings(function, _ARGUMENTS)


def _strings(of: dict[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    yield from (of[name] for name in names if isinstance(of.get(name), str))


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    yield from (v for v in (value if isinstance(value, list) else ()) if isinstance(v, dict))
