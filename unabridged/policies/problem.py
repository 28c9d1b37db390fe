"""What is wrong with a configuration file: where, what, and what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Place = tuple[str | int, ...]
"""Keys and list positions that lead to a value, such as ("policies", "fast", "rate")."""

TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
}
LIMITS = {
    "exclusiveMinimum": ">",
    "minimum": ">=",
    "exclusiveMaximum": "<",
    "maximum": "<=",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong."""

    file: str
    line: int
    """From 1; 0: of the file as a whole."""
    place: Place
    message: str

    def __str__(self) -> str:
        where = dotted(self.place)
        line = f":{self.line}" if self.line else ""
        return f"{self.file}{line}: {where + ': ' if where else ''}{self.message}"


class ConfigError(Exception):
    """A configuration cannot be used. Its text has one line for each problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def dotted(place: Place) -> str:
    """("routes", 0, "policy") as `routes[0].policy`."""
    text = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place)
    return text.removeprefix(".")


def without_password(url: str) -> str:
    """A URL as logs and pages may show it."""
    return re.sub(r"//[^/\s]*@", "//", url)


def shown(value: Any) -> str:
    """A value as an error names it: short, and without the password of a URL."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
    text = re.sub(r"//[^/@\s]+@", "//***@", repr(value))
    return text if len(text) <= 60 else text[:57] + "..."


def meant(word: str, known: Collection[str]) -> str:
    """` did you mean 'x'?` for a slip of the finger, else the list of what is known."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return "known: " + (", ".join(known) or "none")


def phrase(error: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[Place, str]:
    """Place and message of one of pydantic's errors, worded with the limits of the schema."""
    place = tuple(part for part in error["loc"] if part != "[key]")
    value, kind = error["input"], error["type"]
    rule = _rule(schema, place)
    if kind == "extra_forbidden":
        key, known = str(place[-1]), list(_rule(schema, place[:-1]).get("properties", ()))
        inside = f" in {dotted(place[:-1])}" if place[:-1] else ""
        return (), f"unknown key {key!r}{inside}; {meant(key, known)}"
    if kind == "missing":
        return place[:-1], f"key {str(place[-1])!r} is missing"
    if kind == "value_error":
        return place, str(error["ctx"]["error"])
    if error["loc"][-1:] == ("[key]",):
        return place, f"a key here must be a whole number, not {shown(value)}"
    if "enum" in rule:
        hint = meant(str(value), rule["enum"])
        choices = ", ".join(rule["enum"])
        said = f"must be one of {choices}; not {shown(value)}"
        return place, said if hint.startswith("known") else f"{said}; {hint}"
    if "pattern" in rule and isinstance(value, str):
        return place, f"must look like {rule['examples'][0]}, not {shown(value)}"
    if kind == "too_short":
        return place, f"must hold at least {error['ctx']['min_length']}"
    return place, f"must be {_wanted(rule)}, not {shown(value)}"


def _wanted(rule: Mapping[str, Any]) -> str:
    limits = [f"{sign} {rule[name]:g}" for name, sign in LIMITS.items() if name in rule]
    kind = TYPES.get(rule.get("type", ""), "something else")
    if not limits:
        return kind
    whole = "a whole number " if rule.get("type") == "integer" else ""
    return whole + " and ".join(limits)


def _rule(schema: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    """The part of a JSON Schema that rules one place; empty for a place it does not know."""
    rule = _resolved(schema, schema)
    for part in place:
        if isinstance(part, int):
            inner = rule.get("items", {})
        else:
            inner = rule.get("properties", {}).get(part) or rule.get("additionalProperties")
        if not isinstance(inner, Mapping):
            return {}
        rule = _resolved(inner, schema)
    return rule


def _resolved(rule: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    for option in rule.get("anyOf", ()):
        if option.get("type") != "null":
            return _resolved({**rule, "anyOf": (), **option}, schema)
    if "$ref" in rule:
        name = rule["$ref"].rpartition("/")[2]
        return _resolved(schema["$defs"][name], schema)
    return rule
