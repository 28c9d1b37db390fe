"""Writes src/contract.ts: the shapes of proxy/page_answers.py for the page's own compiler.

python page/contract.py > page/src/contract.ts
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from typing_extensions import is_typeddict

from unabridged.policies.policy import Kind
from unabridged.proxy import page_answers
from unabridged.proxy.outcome import Outcome

PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}
NAMED = {"Kind": Kind, "Outcome": Outcome}


def contract() -> str:
    """The whole file."""
    head = "/** Shapes of the JSON API under /ui/api. Written by contract.py: change them there. */"
    return "\n\n".join([head, *_aliases(), *_shapes()]) + "\n"


def _aliases() -> Iterator[str]:
    own = {name: value for name, value in vars(page_answers).items() if _is_choice(value)}
    for name, value in sorted({**NAMED, **own}.items()):
        yield f"export type {name} = {' | '.join(_quoted(each) for each in get_args(value))};"


def _shapes() -> Iterator[str]:
    for shape in vars(page_answers).values():
        if getattr(shape, "__module__", "") != page_answers.__name__:
            continue
        if is_typeddict(shape):
            yield _interface(shape, optional=frozenset())
        elif isinstance(shape, type) and issubclass(shape, BaseModel):
            fields = shape.model_fields.items()
            yield _interface(shape, frozenset(n for n, f in fields if not f.is_required()))


def _interface(shape: Any, optional: frozenset[str]) -> str:
    lines = [
        f"  {name}{'?' if name in optional else ''}: {_written(hint)};"
        for name, hint in get_type_hints(shape).items()
        if name != "model_config"
    ]
    return "\n".join([f"export interface {shape.__name__} {{", *lines, "}"])


def _written(hint: Any) -> str:
    """A Python type as TypeScript has it."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return PLAIN[hint]
    if hint is Any:
        return "unknown"
    if origin is Literal:
        known = {**NAMED, **vars(page_answers)}
        names = [name for name, value in known.items() if _is_choice(value) and value == hint]
        return names[0] if names else " | ".join(_quoted(each) for each in inner)
    if origin in (Union, types.UnionType):
        return " | ".join(_written(each) for each in inner)
    if origin is list:
        item = _written(inner[0])
        return f"({item})[]" if " " in item and not item.startswith("[") else f"{item}[]"
    if origin is tuple:
        return f"[{', '.join(_written(each) for each in inner)}]"
    if origin is dict:
        return f"Record<string, {_written(inner[1])}>"
    if isinstance(hint, type):
        return hint.__name__
    raise TypeError(f"no TypeScript for {hint!r}")


def _is_choice(value: Any) -> bool:
    return get_origin(value) is Literal


def _quoted(text: str) -> str:
    return '"' + text + '"'


if __name__ == "__main__":
    print(contract(), end="")  # noqa: T201
