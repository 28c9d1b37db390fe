"""Which texts of a JSON object may be compressed, and the object with what is left of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from unabridged.compression.prompt import Path as Place
from unabridged.policies.policy import Frozen


class Rule(Frozen):
    """What may happen to the value of one key."""

    rate: float | None = Field(default=None, gt=0, le=1)
    """Share of its tokens that is left; null: of what the whole budget leaves over."""
    compress: bool = True
    """False: the value stays as it is."""
    value_type: str | None = None
    """Accepted; a value keeps the type it has."""
    pair_remove: bool = False
    """True if key and value may go when nothing is left of the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One text in the object."""

    place: Place
    text: str
    rate: float | None


def rules_of(config: Mapping[str, Any] | str | Path) -> dict[str, Rule]:
    """Rules by key, from a mapping or a YAML file. Raises ValueError for a rule that is none."""
    rules: Mapping[str, Any]
    if isinstance(config, (str, Path)):
        from ruamel.yaml import YAML

        rules = YAML(typ="safe").load(Path(config)) or {}
    else:
        rules = config
    return {key: Rule.model_validate(dict(rule)) for key, rule in rules.items()}


def leaves(data: Mapping[str, Any], rules: Mapping[str, Rule]) -> list[Leaf]:
    """The texts that may be compressed, in the order of the object; keys never are."""
    return [
        Leaf(place=place, text=text, rate=rule.rate)
        for key, value in data.items()
        if (rule := rules.get(key)) is not None and rule.compress and rule.rate != 1.0
        for place, text in _texts(value, (key,))
    ]


def rebuilt(
    data: Mapping[str, Any], rules: Mapping[str, Rule], left: Mapping[Leaf, str]
) -> dict[str, Any]:
    """The object with what is left of its texts; a pair that may go goes with the last of them."""
    texts = {leaf.place: text for leaf, text in left.items()}
    emptied = {
        key
        for key, rule in rules.items()
        if rule.pair_remove
        and (ours := [text for place, text in texts.items() if place[0] == key])
        and not any(text.strip() for text in ours)
    }
    return {key: _with(value, (key,), texts) for key, value in data.items() if key not in emptied}


def _texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        if value:
            yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, (*place, key))
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from _texts(inner, (*place, i))


def _with(value: Any, place: Place, texts: Mapping[Place, str]) -> Any:
    if isinstance(value, str):
        return texts.get(place, value)
    if isinstance(value, Mapping):
        return {key: _with(inner, (*place, key), texts) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with(inner, (*place, i), texts) for i, inner in enumerate(value)]
    return value
