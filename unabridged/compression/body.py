"""Finds the texts of a JSON request body without taking the body apart."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json.decoder import JSONDecodeError, JSONDecoder, scanstring  # type: ignore[attr-defined]
from typing import Any

from unabridged.compression.prompt import Path, Span

SURFACES: dict[str, tuple[tuple[str, ...], ...]] = {
    "chat": (("messages", "*", "content"), ("messages", "*", "content", "*", "text")),
    "completions": (("prompt",), ("prompt", "*")),
    "responses": (
        ("instructions",),
        ("input",),
        ("input", "*", "content"),
        ("input", "*", "content", "*", "text"),
        ("input", "*", "output"),
        ("input", "*", "output", "*", "text"),
    ),
    "messages": (
        ("system",),
        ("system", "*", "text"),
        ("messages", "*", "content"),
        ("messages", "*", "content", "*", "text"),
        ("messages", "*", "content", "*", "content"),
        ("messages", "*", "content", "*", "content", "*", "text"),
        ("messages", "*", "content", "*", "source", "data"),
    ),
    "other": (),
    "chat answer": (
        ("choices", "*", "message", "content"),
        ("choices", "*", "message", "tool_calls", "*", "function", "arguments"),
        ("choices", "*", "message", "function_call", "arguments"),
    ),
    "chat chunk": (
        ("choices", "*", "delta", "content"),
        ("choices", "*", "delta", "tool_calls", "*", "function", "arguments"),
        ("choices", "*", "delta", "function_call", "arguments"),
        ("choices", "*", "text"),
    ),
    "completions answer": (("choices", "*", "text"),),
    "responses answer": (("output", "*", "content", "*", "text"), ("output", "*", "arguments")),
    "responses event": (
        ("delta",),
        ("text",),
        ("arguments",),
        ("part", "text"),
        ("item", "content", "*", "text"),
        ("item", "arguments"),
        ("response", "output", "*", "content", "*", "text"),
        ("response", "output", "*", "arguments"),
    ),
    "messages answer": (("content", "*", "text"), ("content", "*", "input", "**")),
    "messages event": (("delta", "text"), ("delta", "partial_json")),
}
"""Where each kind of request, answer and event keeps text that may be looked into; `*` is any
list index, `**` every string at any depth."""

_SPACE = re.compile(r"[ \t\n\r]*")
# One decoded character each; a surrogate pair is joined exactly as the json module joins it.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)"
)
# Numbers stay text: a number of 5,000 digits must not fail, and nothing here computes with one.
_VALUES = JSONDecoder(parse_int=str, parse_float=str)
_LONGEST_SCALAR = 400


class BadBody(ValueError):
    """The body is not JSON that can be read; the message says what and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string of the body that a prompt can live in."""

    path: Path
    value: str
    """The string, decoded. May hold lone surrogates, as JSON allows."""
    start: int
    end: int
    """Raw characters of the body between the quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One top-level key of the body with its raw place."""

    key: str
    start: int
    """The quote before the key."""
    value: int
    """First character of the value."""
    end: int
    """Behind the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A request body, read once."""

    raw: str
    texts: tuple[Text, ...]
    """In the order of the body."""
    tree: dict[str, Any]
    """The decoded body. A string that a prompt can live in is a `Text`; numbers are strings."""
    members: tuple[Member, ...]
    surface: str = "chat"
    """The kind of request, as SURFACES names it."""
    trouble: str = ""
    """Why the body must not be touched, if so: two readers could understand it differently."""

    def scalar(self, key: str) -> str | int | float | bool | None:
        """The value of a top-level key (`model`, `stream`, `n`), None if it is absent, null, a
        list, an object or longer than 400 characters."""
        value = self.value(key) if self._short(key) else None
        return value if isinstance(value, (str, int, float, bool)) else None

    def value(self, key: str) -> Any:
        """The decoded value of a top-level key; None if there is none. The last one counts, as
        in most parsers, where a key stands twice."""
        for member in reversed(self.members):
            if member.key == key:
                return _decoded(self.raw[member.value : member.end], key)
        return None

    def count(self, key: str) -> int:
        """How often a top-level key stands there."""
        return sum(member.key == key for member in self.members)

    def without(self, key: str) -> str:
        """The raw body with a top-level key and its comma taken out, all else as it was."""
        keep: list[str] = []
        at = 0
        left = sum(m.key != key for m in self.members)
        seen = 0
        for number, member in enumerate(self.members):
            if member.key != key:
                seen += 1
                continue
            if seen:
                start, end = self.members[number - 1].end, member.end
            elif left:
                start, end = member.start, self.members[number + 1].start
            else:
                start, end = member.start, self.members[-1].end
            keep.append(self.raw[at : max(at, start)])
            at = max(at, end)
        return "".join([*keep, self.raw[at:]])

    def _short(self, key: str) -> bool:
        return any(m.key == key and m.end - m.value <= _LONGEST_SCALAR for m in self.members)


def _decoded(raw: str, key: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        # A number with more digits than Python reads stays text, as in the tree.
        return _VALUES.decode(raw)
    except RecursionError as error:
        raise BadBody(f"the value of {key!r} cannot be read: {error}") from error


def read(body: str, surface: str = "chat") -> Body:
    """Parse a request body once.

    Raises BadBody if it is not a JSON object. Linear in the length of the body.
    """
    return _Reader(body, surface).read()


def splice(body: Body, kept: Mapping[Path, Sequence[Span]]) -> str:
    """The body with each named string reduced to `kept`: spans of its decoded value, written
    one after another in the order given, with the escapes that the caller wrote. Strings that
    are not named, and everything around the strings, stay byte for byte."""
    out: list[str] = []
    at = 0
    for text in body.texts:
        spans = kept.get(text.path)
        if spans is None:
            continue
        out.append(body.raw[at : text.start])
        out.extend(_cut(body.raw, text, spans))
        at = text.end
    out.append(body.raw[at:])
    return "".join(out)


def _cut(raw: str, text: Text, spans: Sequence[Span]) -> list[str]:
    if text.end - text.start == len(text.value):
        return [raw[text.start + a : text.start + b] for a, b in spans]
    # For each escape: the decoded offset behind it, and how much longer raw is from there on.
    behind = [0]
    longer = [0]
    for escape in _ESCAPE.finditer(raw, text.start, text.end):
        extra = longer[-1] + escape.end() - escape.start() - 1
        behind.append(escape.end() - text.start - extra)
        longer.append(extra)

    def place(offset: int) -> int:
        return text.start + offset + longer[bisect_right(behind, offset) - 1]

    return [raw[place(a) : place(b)] for a, b in spans]


def _branches(patterns: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for pattern in patterns:
        node = tree
        for step in pattern:
            node = node.setdefault(step, {})
        node[""] = {}
        if pattern[-1] == "**":
            node["**"] = node
    return tree


class _Reader:
    """Walks the few levels that lead to texts; the C scanner takes all the rest whole."""

    def __init__(self, raw: str, surface: str) -> None:
        self.raw = raw
        self.surface = surface
        self.branches = _branches(SURFACES[surface])
        self.texts: list[Text] = []
        self.members: list[Member] = []
        self.trouble = ""

    def read(self) -> Body:
        try:
            start = self._space(0)
            if self.raw[start : start + 1] != "{":
                raise BadBody("the body is not a JSON object")
            tree, end = self._object(start, self.branches, ())
            if self._space(end) != len(self.raw):
                raise BadBody(f"something follows the JSON object at character {end}")
        except (JSONDecodeError, StopIteration) as error:
            raise BadBody(f"the body is not JSON: {error}") from error
        except RecursionError as error:
            raise BadBody("the body is nested too deeply to be read") from error
        return Body(
            raw=self.raw,
            texts=tuple(self.texts),
            tree=tree,
            members=tuple(self.members),
            surface=self.surface,
            trouble=self.trouble,
        )

    def _space(self, at: int) -> int:
        found = _SPACE.match(self.raw, at)
        return found.end() if found else at

    def _value(self, at: int, branch: dict[str, Any], path: Path) -> tuple[Any, int]:
        first = self.raw[at : at + 1]
        branch = branch.get("**", branch)
        if first == '"' and "" in branch:
            value, end = scanstring(self.raw, at + 1, True)
            text = Text(path=path, value=value, start=at + 1, end=end - 1)
            self.texts.append(text)
            return text, end
        if first == "{" and any(branch.keys() - {"", "*"}):
            return self._object(at, branch, path)
        if first == "[" and ("*" in branch or "**" in branch):
            return self._array(at, branch.get("*") or branch["**"], path)
        return _VALUES.raw_decode(self.raw, at)

    def _object(self, at: int, branch: dict[str, Any], path: Path) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        at = self._space(at + 1)
        if self.raw[at : at + 1] == "}":
            return found, at + 1
        while True:
            if self.raw[at : at + 1] != '"':
                raise JSONDecodeError("a key in double quotes is missing", self.raw, at)
            start = at
            key, at = scanstring(self.raw, at + 1, True)
            at = self._space(at)
            if self.raw[at : at + 1] != ":":
                raise JSONDecodeError("':' is missing", self.raw, at)
            begin = self._space(at + 1)
            deeper = branch.get(key) or branch.get("**", {})
            value, end = self._value(begin, deeper, (*path, key))
            if key in found and not self.trouble:
                place = ".".join(map(str, path)) or "the top level"
                self.trouble = (
                    f"the key {key!r} stands twice at {place}: parsers disagree which one counts"
                )
            found[key] = value
            if not path:
                self.members.append(Member(key=key, start=start, value=begin, end=end))
            at = self._space(end)
            if self.raw[at : at + 1] == "}":
                return found, at + 1
            at = self._comma(at)

    def _array(self, at: int, branch: dict[str, Any], path: Path) -> tuple[list[Any], int]:
        found: list[Any] = []
        at = self._space(at + 1)
        if self.raw[at : at + 1] == "]":
            return found, at + 1
        while True:
            value, end = self._value(at, branch, (*path, len(found)))
            found.append(value)
            at = self._space(end)
            if self.raw[at : at + 1] == "]":
                return found, at + 1
            at = self._comma(at)

    def _comma(self, at: int) -> int:
        if self.raw[at : at + 1] != ",":
            raise JSONDecodeError("',' is missing", self.raw, at)
        return self._space(at + 1)
