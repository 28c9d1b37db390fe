"""The messages of a chat: who speaks, in which turn, and which texts may be looked into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from unabridged.compression.body import Body, Text
from unabridged.policies.policy import Kind

Treatment = Literal["system", "user", "tool", "whole"]

_SPOKEN_EXAMPLES = ("example_user", "example_assistant")
_TEXT_PARTS = ("text", "input_text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """One text of a message and how it is to be treated.

    All of this follows from the message and those before it, never from a later one: the
    request of the next turn, which only adds messages, is then cut at the same places.
    """

    text: Text
    turn: int
    treatment: Treatment
    kind: Kind
    """What the whole text is, unless it is looked into."""
    protected: bool
    why: str


def speeches(body: Body, kinds: Mapping[int, Kind]) -> Iterator[Speech]:
    """The texts of a chat body in order. `kinds` are the kinds that a policy gives to whole
    messages, by index; negative ones count from the end."""
    messages = body.tree.get("messages")
    if not isinstance(messages, list):
        return
    forced = {index % len(messages): kind for index, kind in kinds.items()
              if -len(messages) <= index < len(messages)}  # fmt: skip
    begun = 0
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        role = message.get("role")
        # A request ends before an answer of the assistant, be it words or a call of a tool.
        begun += role in ("user", "assistant")
        turn = max(0, begun - 1)
        for text, cached in _texts(message):
            yield _speech(text, cached, message, turn, forced.get(index))


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


def _speech(
    text: Text, cached: bool, message: dict[str, Any], turn: int, forced: Kind | None
) -> Speech:
    def make(treatment: Treatment, kind: Kind, protected: bool, why: str) -> Speech:
        return Speech(
            text=text, turn=turn, treatment=treatment, kind=kind, protected=protected, why=why
        )

    role = message.get("role")
    if forced is not None:
        return make("whole", forced, False, "message named by the policy")
    if cached:
        kind: Kind = "history" if role == "assistant" else "instruction"
        return make("whole", kind, True, "cache_control: the provider caches it as it is")
    if message.get("name") in _SPOKEN_EXAMPLES:
        return make("whole", "demonstration", False, f"name {message['name']!r}")
    if role in ("system", "developer"):
        return make("system", "instruction", False, f"{role} message")
    if role == "user":
        return make("user", "question", False, "user message")
    if role == "assistant":
        # Demonstration or history cannot be told from the messages up to here, and what is
        # decided here must hold in every later turn: both are left as they are.
        return make("whole", "history", True, "assistant message")
    if role in ("tool", "function"):
        return make("tool", "tool_output", False, f"{role} message")
    return make("whole", "instruction", True, "unknown role")
