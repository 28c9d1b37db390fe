"""What it takes to believe that a response copied a shortened form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from unabridged.compression.entities import EntityKind
from unabridged.compression.vocabulary import Vocabulary
from unabridged.compression.words import script

Known = Callable[[str], bool]
"""Tells whether a string is a word of its own in some language."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What has to agree around a shortened form in the response."""

    words: int = 0
    """Words around it that have to be those around it in the compressed text: 0 where what is
    left could not have been written by anybody who saw the whole."""
    behind: bool = False
    """True if the word behind it has to be one of them."""
    or_end: bool = False
    """True if, in a script without spaces, what is left has to end at a character that is no
    part of a word, or at the one that stands behind it in the compressed text."""
    unit: bool = False
    """True if it is a whole number whose unit is gone: no other word may stand behind it."""


ENOUGH = Evidence()
ONE = Evidence(words=1)
TWO = Evidence(words=2)
BEHIND_OR_END = Evidence(or_end=True)
BEHIND = Evidence(words=2, behind=True)


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left of an entity."""

    short: str
    full: str
    kind: EntityKind
    runs: list[str]
    """The words of `short`."""


def evidence(left: Remains, vocabulary: Vocabulary, known: Known | None) -> Evidence | None:
    """What a response has to show; None if nothing can show that it copied this.

    Three cases. A word of the shortened form is no word of any original: it was cut inside.
    Words of it stand side by side that never did: one between them is gone. Or it is the
    beginning of the entity in whole words: it may as well be a name in its own right ("Prime
    Minister" of "Prime Minister Thatcher"), so that only the words around it can tell.
    """
    broken = [run for run in left.runs if not vocabulary.has(run)]
    return _JUDGES.get(left.kind, _name)(left, broken, known)


def _beginning(left: Remains) -> Evidence | None:
    return BEHIND if left.full.startswith(left.short) else None


def _gapped(left: Remains) -> bool:
    return left.short not in left.full


def _name(left: Remains, broken: list[str], known: Known | None) -> Evidence | None:
    if len(left.runs) > 1 and (broken or _gapped(left)):
        return ENOUGH
    if broken:
        return _lone(broken[0], known)
    return _beginning(left)


def _word(left: Remains, broken: list[str], known: Known | None) -> Evidence | None:
    return _lone(broken[0], known) if broken else None


def _lone(run: str, known: Known | None) -> Evidence:
    enough = 4 if script(run[0]) == "a" else 2
    return ENOUGH if known is not None and len(run) >= enough and not known(run) else ONE


def _exact(left: Remains, broken: list[str], known: Known | None) -> Evidence | None:
    mixed = any(map(str.isdigit, left.short)) and any(map(str.isalpha, left.short))
    if broken or _gapped(left):
        if len(left.short) >= (4 if mixed else 5) and (mixed or len(left.runs) > 1):
            return ENOUGH
        return _lone(left.runs[0], known) if left.short.isalpha() else TWO
    return _beginning(left)


def _number(left: Remains, broken: list[str], known: Known | None) -> Evidence | None:
    if not broken and not _gapped(left):
        return None
    if not left.short[-1].isalnum():
        return None
    return ENOUGH if sum(map(str.isdigit, left.short)) >= 5 else ONE


def _date(left: Remains, broken: list[str], known: Known | None) -> Evidence | None:
    if broken and len(left.runs) > 1 and not left.short[-1].isdigit():
        return ENOUGH
    if not broken and not _gapped(left):
        return _beginning(left)
    if _gapped(left) and len(left.runs) > 1 and all(run.isdigit() for run in left.runs):
        return ENOUGH
    return ONE


def _unit(left: Remains, broken: list[str], known: Known | None) -> Evidence | None:
    if left.full.startswith(left.short) and not broken and left.short[-1].isdigit():
        return Evidence(unit=True) if sum(map(str.isdigit, left.short)) >= 3 else BEHIND
    if any(map(str.isalpha, left.short)) and broken and len(left.runs) > 1:
        return ENOUGH
    return _number(left, broken, known)


def _quote(left: Remains, broken: list[str], known: Known | None) -> Evidence | None:
    quoted = not left.short[0].isalnum() and not left.short[-1].isalnum()
    return ENOUGH if len(left.runs) > 2 - quoted and (broken or _gapped(left)) else None


_JUDGES = {
    "word": _word,
    "identifier": _exact,
    "path": _exact,
    "url": _exact,
    "number": _number,
    "date": _date,
    "unit": _unit,
    "quote": _quote,
}
