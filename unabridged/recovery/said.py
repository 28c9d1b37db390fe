"""What an answer says: which of its strings are the model's words, and which are JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from unabridged.compression.body import Text
from unabridged.recovery.index import Index
from unabridged.recovery.json_text import ContentRestorer, JsonRestorer, Restorer, ValueRestorer

Form = Literal["words", "json", "value"]

RESTORERS: dict[Form, Callable[[Index], Restorer]] = {
    "words": ContentRestorer,
    "json": JsonRestorer,
    "value": ValueRestorer,
}
"""What restores a text of each form: words, the text of a JSON value, one string of a JSON
value that stands in the answer as such."""

SCORED = "its text is left as the model wrote it, because log probabilities were asked for"
CITED = "its text is left as the model wrote it, because citations count its characters"

_CITING = ("web_search", "file_search", "code_interpreter")
"""Tools of the provider whose citations say at which characters of the answer they stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One string of an answer."""

    text: Text
    form: Form
    why_not: str = ""
    """Why it is left as it is; empty if it is restored."""


def chat(answer: dict[str, Any]) -> Iterator[Said]:
    """A chat completion: every choice, its content and the arguments of its calls."""
    for n, choice in enumerate(_dicts(answer.get("choices"))):
        why = f"choice {n}: {SCORED}" if choice.get("logprobs") is not None else ""
        message = choice.get("message")
        if not isinstance(message, dict):
            continue
        cited = f"choice {n}: {CITED}" if message.get("annotations") else ""
        yield from _said(message.get("content"), "words", why or cited)
        calls = [call.get("function") for call in _dicts(message.get("tool_calls"))]
        for function in (*calls, message.get("function_call")):
            if isinstance(function, dict):
                yield from _said(function.get("arguments"), "json", why)


def completions(answer: dict[str, Any]) -> Iterator[Said]:
    """A completion of the older API."""
    for n, choice in enumerate(_dicts(answer.get("choices"))):
        why = f"choice {n}: {SCORED}" if choice.get("logprobs") is not None else ""
        yield from _said(choice.get("text"), "words", why)


def responses(answer: dict[str, Any]) -> Iterator[Said]:
    """A response: its messages and the arguments of calls of the caller's own functions."""
    why = CITED if cites(answer) else ""
    for item in _dicts(answer.get("output")):
        yield from response_item(item, why)


def response_item(item: dict[str, Any], why: str) -> Iterator[Said]:
    """One item of a response's output. Reasoning and the provider's own tools are none of it."""
    if item.get("type") == "message":
        for part in _dicts(item.get("content")):
            yield from response_part(part, why)
    elif item.get("type") == "function_call":
        yield from _said(item.get("arguments"), "json", "")


def response_part(part: dict[str, Any], why: str) -> Iterator[Said]:
    """One part of a message of a response."""
    if part.get("type") == "output_text":
        scored = SCORED if part.get("logprobs") else ""
        cited = CITED if part.get("annotations") else ""
        yield from _said(part.get("text"), "words", why or scored or cited)


def cites(response: dict[str, Any]) -> bool:
    """True if a response was made with tools that cite."""
    kinds = [str(tool.get("type")) for tool in _dicts(response.get("tools"))]
    return any(kind.startswith(_CITING) for kind in kinds)


def messages(answer: dict[str, Any]) -> Iterator[Said]:
    """A message of the Anthropic API: its text and the input of the caller's own tools. Thinking
    is signed, and the provider's tools have used their input already."""
    for block in _dicts(answer.get("content")):
        if block.get("type") == "text":
            yield from _said(block.get("text"), "words", "")
        elif block.get("type") == "tool_use":
            yield from _strings(block.get("input"))


ANSWERS: dict[str, Callable[[dict[str, Any]], Iterator[Said]]] = {
    "chat": chat,
    "completions": completions,
    "responses": responses,
    "messages": messages,
}
"""What reads the answers of each surface."""


def _said(text: Any, form: Form, why_not: str) -> Iterator[Said]:
    if isinstance(text, Text):
        yield Said(text=text, form=form, why_not=why_not)


def _strings(value: Any) -> Iterator[Said]:
    if isinstance(value, dict):
        value = list(value.values())
    for inner in value if isinstance(value, list) else (value,):
        if isinstance(inner, Text):
            yield Said(text=inner, form="value")
        elif isinstance(inner, (dict, list)):
            yield from _strings(inner)


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    yield from (v for v in (value if isinstance(value, list) else ()) if isinstance(v, dict))
