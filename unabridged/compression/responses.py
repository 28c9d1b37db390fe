"""The texts of a request of the Responses API: what is sent now, never what the server holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from unabridged.compression.body import Body, Text
from unabridged.compression.speech import Speech, by_index, forced, spoken
from unabridged.policies.policy import Kind

_TOOL_OUTPUTS = ("function_call_output", "custom_tool_call_output")
"""Items with what a caller's own tools have returned. Those of the provider's tools, references
to items and encrypted reasoning are of a form that only the provider reads."""
_TEXT_PARTS = ("input_text", "output_text")


def speeches(body: Body, kinds: Mapping[int, Kind]) -> Iterator[Speech]:
    """The texts of `instructions` and `input` in the order of the body. `kinds` are the kinds
    that a policy gives to whole items of the input, by index."""
    # The order of the keys is the caller's, and so is the order of the body's texts.
    for member in body.members:
        value = body.tree.get(member.key)
        if member.key == "instructions" and isinstance(value, Text):
            yield spoken(value, role="system", turn=0)
        elif member.key == "input" and isinstance(value, Text):
            yield forced(spoken(value, role="user", turn=0), by_index(kinds, 1).get(0))
        elif member.key == "input" and isinstance(value, list):
            yield from _items(value, by_index(kinds, len(value)))


def _items(items: list[Any], kinds: Mapping[int, Kind]) -> Iterator[Speech]:
    begun = 0
    answering = False
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            continue
        kind, role, content = item.get("type", "message"), item.get("role"), item.get("content")
        if kind in _TOOL_OUTPUTS:
            role, content = "tool", item.get("output")
        elif kind != "message":
            role, content = "assistant", None
        # A request ends before an answer of the assistant, which may have several items.
        begun += role == "user" or (role == "assistant" and not answering)
        answering = role == "assistant"
        for text in _texts(content):
            yield forced(spoken(text, role=role, turn=max(0, begun - 1)), kinds.get(index))


def _texts(content: Any) -> Iterator[Text]:
    if isinstance(content, Text):
        yield content
    for part in content if isinstance(content, list) else ():
        if (
            isinstance(part, dict)
            and part.get("type") in _TEXT_PARTS
            and isinstance(part.get("text"), Text)
        ):
            yield part["text"]
