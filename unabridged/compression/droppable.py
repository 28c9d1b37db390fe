"""What a dropper of words may drop: words, and names, numbers and dates as one.

What is left of a name must not be a riddle. So a name stays or goes whole, but for the small
words inside it ("of" in Treaty of Ghent, the initials of a person) where the rest proves which
name it is: they are worth a token, and recovery puts them back. And no two words may run
together where something between them goes: what stands for the space goes with the word.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import regex
from numpy.typing import NDArray

from unabridged.compression.entities import Entity, entities, opening
from unabridged.compression.evidence import ENOUGH, Remains, evidence
from unabridged.compression.job import Job
from unabridged.compression.kept import coarsen, shift
from unabridged.compression.prompt import Span
from unabridged.compression.select import Unit
from unabridged.compression.sentences import words
from unabridged.compression.vocabulary import Vocabulary
from unabridged.compression.words import words_of

_SMALL = regex.compile(r"\s+(?:\p{Ll}[\p{Ll}'’]{0,4}|\p{Lu}\.)(?=\s)")
"""A word inside a name that a reader does without."""
_SPACE = re.compile(r"[^\S\n]+")
_MARKS = regex.compile(r"[^\p{L}\p{N}\p{M}]+")
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")


class Droppable:
    """Divides the segments of a job."""

    def __init__(self, job: Job) -> None:
        self._texts = [segment.text for segment in job.segments]
        # The papers drop tokens wherever they stand.
        texts = [] if job.policy.perplexity.as_published else self._texts
        vocabulary = Vocabulary(texts)
        self._entities = [entities(text) for text in texts]
        restored = job.policy.recovery != "off"
        self._spare = _spare(texts, self._entities, vocabulary) if restored else {}

    def units(self, index: int, start: int, end: int, unbroken: Sequence[Span]) -> tuple[Unit, ...]:
        """The units of a stretch of a segment, in order. `unbroken`: what else must stay in one
        piece, sorted.

        Together they cover it once. What a unit can do without is a unit of its own, behind it:
        it says nothing alone.
        """
        text = self._texts[index]
        if not self._entities:
            return tuple(Unit(index, *tile) for tile in coarsen(words(text, start, end), unbroken))
        whole = [(e.start, e.end) for e in self._entities[index] if e.start < end and e.end > start]
        tiles = coarsen(words(text, start, end), sorted([*unbroken, *whole]))
        return tuple(
            unit for lead, tile in _apart(text, tiles) for unit in self._divided(index, lead, tile)
        )

    def _divided(self, index: int, lead: Span, tile: Span) -> Iterator[Unit]:
        text = self._texts[index]
        name = text[slice(*tile)].lstrip()
        spare = shift(self._spare.get(name, ()), tile[1] - len(name))
        space = _SPACE.match(text, *lead)
        if space and space.end() < lead[1] and "\n" not in text[slice(*lead)]:
            spare = ((space.end(), lead[1]), *spare)
        yield Unit(index, lead[0], tile[1], without=spare)
        for each in spare:
            yield Unit(index, *each)


def in_turn(units: Sequence[Unit], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values of units, lowered where one would come before the unit that it belongs to."""
    found = values.copy()
    host = 0
    for i, unit in enumerate(units):
        host = host if unit.start < units[host].end else i
        found[i] = min(found[i], found[host])
    return found


def _apart(text: str, tiles: Sequence[Span]) -> list[tuple[Span, Span]]:
    """Each tile, and before it the marks and line ends that alone keep its word from the one
    before, which are no tiles of their own then."""
    found: list[tuple[Span, Span]] = []
    for start, end in tiles:
        lead = start
        if text[start].isalnum() and not _UNSPACED.match(text[start]):
            while found and found[-1][1][1] == lead and _MARKS.fullmatch(text, *found[-1][1]):
                lead = found.pop()[1][0]
        found.append(((lead, start), (start, end)))
    return found


def _spare(
    texts: Sequence[str], found: Sequence[Sequence[Entity]], vocabulary: Vocabulary
) -> dict[str, tuple[Span, ...]]:
    """By name, the small words inside it without which it is still no other: no text of the job
    has what is left, and no other name leaves the same. If its first word may only begin a
    sentence, that holds without it too."""
    small: dict[str, tuple[Span, ...]] = {}
    shorts: dict[str, set[str]] = defaultdict(set)
    names: dict[str, set[str]] = defaultdict(set)
    for text, those in zip(texts, found, strict=True):
        for entity in those:
            if entity.kind != "name":
                continue
            whole = text[entity.start : entity.end]
            starts = _beginnings(text, entity, vocabulary)
            first = starts[0] - entity.start
            small[whole] = shift((m.span() for m in _SMALL.finditer(whole[first:])), first)
            for start in starts:
                name = text[start : entity.end]
                short = _SMALL.sub("", name)
                if short != name:
                    shorts[whole].add(short)
                    names[short].add(name)
    proven = {short for short in names if _proves(short, names[short], vocabulary)}
    return {whole: small[whole] for whole, left in shorts.items() if left <= proven}


def _beginnings(text: str, name: Entity, vocabulary: Vocabulary) -> list[int]:
    """Where a name may begin: at its first word, unless that stands elsewhere without a capital,
    and behind it, if it may only begin a sentence."""
    opened = opening(text, name)
    if opened is None:
        return [name.start]
    only = opened[0].lower() in vocabulary.counts
    return [opened[1].start] if only else [name.start, opened[1].start]


def _proves(short: str, names: set[str], vocabulary: Vocabulary) -> bool:
    runs = words_of(short)
    if len(names) > 1 or len(runs) < 2 or vocabulary.holds(runs):
        return False
    left = Remains(short=short, full=min(names), kind="name", runs=runs)
    return evidence(left, vocabulary, None) == ENOUGH
