"""What a dropper of words may drop: words, and names, numbers and dates as one.

What is left of a name must not be a riddle. So a name stays or goes whole, but for the small
words inside it ("of" in Treaty of Ghent, the initials of a person) where the rest proves which
name it is: they are worth a token, and recovery puts them back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import regex

from unabridged.compression.entities import Entity, entities
from unabridged.compression.evidence import ENOUGH, Remains, evidence
from unabridged.compression.job import Job
from unabridged.compression.kept import coarsen, extract, invert, shift
from unabridged.compression.prompt import Span
from unabridged.compression.select import Unit
from unabridged.compression.sentences import words
from unabridged.compression.vocabulary import Vocabulary, words_of

_SMALL = regex.compile(r"\s+(?:\p{Ll}[\p{Ll}'’]{0,4}|\p{Lu}\.)(?=\s)")
"""A word inside a name that a reader does without."""


class Droppable:
    """Divides the segments of a job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._entities = [entities(segment.text) for segment in job.segments]
        self._spare = _spare(job, self._entities) if job.policy.recovery != "off" else {}

    def units(self, index: int, start: int, end: int, unbroken: Sequence[Span]) -> tuple[Unit, ...]:
        """The units of a stretch of a segment, in order. `unbroken`: what else must stay in one
        piece, sorted.

        Together they cover it once. What a name can do without is a unit of its own, right
        behind the one with the rest.
        """
        text = self._job.segments[index].text
        whole = [(e.start, e.end) for e in self._entities[index] if e.start < end and e.end > start]
        tiles = coarsen(words(text, start, end), sorted([*unbroken, *whole]))
        return tuple(unit for tile in tiles for unit in self._divided(index, tile))

    def _divided(self, index: int, tile: Span) -> Iterator[Unit]:
        text = self._job.segments[index].text
        gaps = self._spare.get(extract(text, [tile]).strip(), ())
        if not gaps:
            yield Unit(index, *tile)
            return
        start = tile[0] + len(text[slice(*tile)]) - len(text[slice(*tile)].lstrip())
        small = shift(gaps, start)
        yield Unit(index, *tile, without=small)
        between = tuple((a, b) for (_, a), (b, _) in pairwise(small))
        yield Unit(index, small[0][0], small[-1][1], without=between)


def _spare(job: Job, found: Sequence[Sequence[Entity]]) -> dict[str, tuple[Span, ...]]:
    """By name, the small words inside it without which it is still no other: no text of the job
    has what is left, and no other name leaves the same."""
    texts = [segment.text for segment in job.segments]
    names = {
        text[e.start : e.end]
        for text, those in zip(texts, found, strict=True)
        for e in those
        if e.kind == "name"
    }
    left: dict[str, list[str]] = defaultdict(list)
    gaps: dict[str, tuple[Span, ...]] = {}
    for name in sorted(names):
        small = tuple(match.span() for match in _SMALL.finditer(name))
        if small:
            gaps[name] = small
            left[extract(name, invert(small, len(name)))].append(name)
    vocabulary = Vocabulary.of(texts)
    return {
        whole[0]: gaps[whole[0]]
        for short, whole in left.items()
        if len(whole) == 1 and _proves(short, whole[0], vocabulary)
    }


def _proves(short: str, name: str, vocabulary: Vocabulary) -> bool:
    runs = words_of(short)
    if len(runs) < 2 or vocabulary.holds(runs):
        return False
    return evidence(Remains(short=short, full=name, kind="name", runs=runs), vocabulary, None) == (
        ENOUGH
    )
