"""One text of a request: who says it, in which turn, and whether it may be looked into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from unabridged.compression.body import Text
from unabridged.policies.policy import Kind

Treatment = Literal["system", "user", "tool", "document", "whole"]
"""How a text is cut into segments: looked into as one of these, or left as one piece."""

CACHED = "cache_control: the provider caches it as it is"
_SPOKEN_EXAMPLES = ("example_user", "example_assistant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """One text of a request and how it is to be treated.

    All of this follows from what stands up to it, never from a later turn: the request of the
    next turn, which only adds to this one, is then cut at the same places. A mark for the
    provider's cache is the exception: what it covers is sent as it was written, and stays so as
    the mark moves on.
    """

    text: Text
    turn: int
    treatment: Treatment
    kind: Kind
    """What the whole text is, unless it is looked into."""
    protected: bool
    """True if nothing of it may be cut, whatever is found in it."""
    why: str
    named: bool = False
    """True if a policy says what kind its message is."""

    def kept(self, why: str) -> Speech:
        """The same, never cut."""
        return replace(self, protected=True, why=why)


def spoken(text: Text, *, role: object, turn: int, name: object = None) -> Speech:
    """A text of a message with this role; `name` is the speaker's, if the message has one."""

    def make(treatment: Treatment, kind: Kind, protected: bool, why: str) -> Speech:
        return Speech(
            text=text, turn=turn, treatment=treatment, kind=kind, protected=protected, why=why
        )

    if name in _SPOKEN_EXAMPLES:
        return make("whole", "demonstration", False, f"name {name!r}")
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


def forced(speech: Speech, kind: Kind | None) -> Speech:
    """The speech with the kind that a policy gives to its message; None: it gives none."""
    if kind is None:
        return speech
    why = "message named by the policy"
    return replace(speech, treatment="whole", kind=kind, protected=False, why=why, named=True)


def by_index(kinds: Mapping[int, Kind], count: int) -> dict[int, Kind]:
    """The kinds of messages by index; negative ones count from the end of `count` messages."""
    return {index % count: kind for index, kind in kinds.items() if -count <= index < count}


def marks(block: Mapping[str, Any]) -> bool:
    """True if a message or a part of one carries a mark for the provider's cache."""
    return block.get("cache_control") is not None


def up_to_mark(marked: Iterable[tuple[Speech | None, bool]]) -> Iterator[Speech]:
    """The speeches, none of them cut up to and with the last one that is marked for the
    provider's cache: a cached prefix is worth its price only while its bytes stay the same.
    None stands for what has no text to look into (a picture, a call of a tool) and can be
    marked all the same."""
    found = list(marked)
    last = max((n for n, (_, mark) in enumerate(found) if mark), default=-1)
    for n, (speech, _) in enumerate(found):
        if speech is not None:
            yield speech if n > last or speech.named else speech.kept(CACHED)
