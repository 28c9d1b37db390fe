"""A YAML text becomes plain data that remembers on which line each key stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from unabridged.policies.problem import Place, Problem, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a file says, and where it says it."""

    name: str
    """The file, as errors name it."""
    data: Any
    """Dictionaries (with string keys), lists, strings, numbers, booleans and None."""
    lines: dict[Place, int]
    """Line of each key and list item, from 1. The whole text is the empty place."""
    problems: tuple[Problem, ...]
    """What is wrong with the YAML itself; `data` is None if it cannot be read at all."""

    def line(self, place: Place) -> int:
        """Line of a place, or of the nearest one around it that the file holds."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(text: str, name: str) -> Source:
    """Parse YAML 1.2 (JSON is YAML too). Bad YAML is reported in `problems`, never raised."""
    reader = _Reader(name)
    try:
        node = reader.yaml.compose(text)
        data = reader.value(node, (), ()) if node is not None else None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or error.context or "not valid YAML"
        return _unreadable(name, mark.line + 1 if mark else 1, said)
    except YAMLError as error:
        return _unreadable(name, 1, str(error).splitlines()[0])
    return Source(name=name, data=data, lines=reader.lines, problems=tuple(reader.problems))


def _unreadable(name: str, line: int, said: str) -> Source:
    problem = Problem(file=name, line=line, place=(), message=f"not valid YAML: {said}")
    return Source(name=name, data=None, lines={}, problems=(problem,))


class _Reader:
    """Walks the nodes of one text. Nodes, because plain data has lost its lines and the second
    of two equal keys."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.yaml = YAML(typ="safe", pure=True)
        self.lines: dict[Place, int] = {(): 1}
        self.problems: list[Problem] = []

    def value(self, node: Node, place: Place, around: tuple[int, ...]) -> Any:
        if id(node) in around:
            self._complain(node, place, "an alias may not contain itself")
            return None
        around = (*around, id(node))
        match node:
            case MappingNode():
                return self._mapping(node, place, around)
            case SequenceNode():
                return [self._item(n, (*place, i), around) for i, n in enumerate(node.value)]
            case ScalarNode():
                return self._scalar(node, place)
        raise TypeError(f"unknown YAML node {type(node).__name__}")

    def _scalar(self, node: Node, place: Place) -> Any:
        try:
            return self.yaml.constructor.construct_object(node)
        except (ValueError, KeyError):
            # It looks like a date, or is tagged as a number, and is none.
            self._complain(
                node, place, f"{shown(node.value)} is no {str(node.tag).rpartition(':')[2]}"
            )
            return None

    def _mapping(self, node: Node, place: Place, around: tuple[int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._complain(key_node, place, "a key must be a plain word")
                continue
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in found:
                first = self.lines[(*place, key)]
                self._complain(key_node, (*place, key), f"given twice; first on line {first}")
                continue
            self.lines[(*place, key)] = line
            found[key] = self.value(value_node, (*place, key), around)
        return found

    def _item(self, node: Node, place: Place, around: tuple[int, ...]) -> Any:
        self.lines[place] = node.start_mark.line + 1
        return self.value(node, place, around)

    def _complain(self, node: Node, place: Place, message: str) -> None:
        line = node.start_mark.line + 1
        self.problems.append(Problem(file=self.name, line=line, place=place, message=message))
