"""The texts of a chat-completions request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from unabridged.compression.body import Body, Text
from unabridged.compression.speech import Speech, by_index, forced, marks, spoken, up_to_mark
from unabridged.policies.policy import Kind

_TEXT_PARTS = ("text", "input_text")


def speeches(body: Body, kinds: Mapping[int, Kind]) -> Iterator[Speech]:
    """The texts of the messages in order. `kinds` are the kinds that a policy gives to whole
    messages, by index; negative ones count from the end."""
    messages = body.tree.get("messages")
    if isinstance(messages, list):
        yield from up_to_mark(_marked(messages, by_index(kinds, len(messages))))


def _marked(messages: list[Any], kinds: Mapping[int, Kind]) -> Iterator[tuple[Speech | None, bool]]:
    begun = 0
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        role = message.get("role")
        # A request ends before an answer of the assistant, be it words or a call of a tool.
        begun += role in ("user", "assistant")
        for text, mark in _texts(message):
            if text is None:
                yield None, mark
                continue
            speech = spoken(text, role=role, turn=max(0, begun - 1), name=message.get("name"))
            yield forced(speech, kinds.get(index)), mark


def _texts(message: dict[str, Any]) -> Iterator[tuple[Text | None, bool]]:
    """The texts of a message and whether each is marked; None for a part that is no text."""
    content = message.get("content")
    if isinstance(content, Text):
        yield content, False
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            text = part.get("text") if part.get("type") in _TEXT_PARTS else None
            yield text if isinstance(text, Text) else None, marks(part)
    yield None, marks(message)
