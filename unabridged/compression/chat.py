"""The texts of a chat-completions request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from unabridged.compression.body import Body, Text
from unabridged.compression.speech import Speech, by_index, forced, spoken, up_to_mark
from unabridged.policies.policy import Kind

_TEXT_PARTS = ("text", "input_text")


def speeches(body: Body, kinds: Mapping[int, Kind]) -> Iterator[Speech]:
    """The texts of the messages in order. `kinds` are the kinds that a policy gives to whole
    messages, by index; negative ones count from the end."""
    messages = body.tree.get("messages")
    if isinstance(messages, list):
        yield from up_to_mark(_marked(messages, by_index(kinds, len(messages))))


def _marked(messages: list[Any], kinds: Mapping[int, Kind]) -> Iterator[tuple[Speech, bool]]:
    begun = 0
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        role = message.get("role")
        # A request ends before an answer of the assistant, be it words or a call of a tool.
        begun += role in ("user", "assistant")
        for text, mark in _texts(message):
            speech = spoken(text, role=role, turn=max(0, begun - 1), name=message.get("name"))
            yield forced(speech, kinds.get(index)), mark


def _texts(message: dict[str, Any]) -> Iterator[tuple[Text, bool]]:
    content = message.get("content")
    if isinstance(content, Text):
        yield content, "cache_control" in message
    for part in content if isinstance(content, list) else ():
        if (
            isinstance(part, dict)
            and isinstance(part.get("text"), Text)
            and part.get("type") in _TEXT_PARTS
        ):
            yield part["text"], "cache_control" in part or "cache_control" in message
