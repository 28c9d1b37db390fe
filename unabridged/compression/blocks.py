"""The stretches of a prompt that are ranked and scored as a whole, and the words in them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import regex
from numpy.typing import NDArray

from unabridged.compression.droppable import Droppable
from unabridged.compression.job import Job
from unabridged.compression.kept import coarsen, shift
from unabridged.compression.prompt import Segment, Span
from unabridged.compression.protect import always, forced, is_json, whole
from unabridged.compression.select import Unit
from unabridged.compression.sentences import sentences

BLOCK = 1200
"""Characters of a long document that are ranked and scored together, to the next sentence."""

CONTEXT = 300
"""Characters in front of a block that the model is shown."""

_FRAME = regex.compile(r"\p{N}|\n|(?m:^[^\n:：]{1,24}[:：])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A stretch of one segment that is ranked as a whole, and its words."""

    segment: int
    start: int
    end: int
    units: tuple[Unit, ...]
    first: frozenset[Unit]
    """Units that come before all others of the block, whatever they score."""
    sealed: bool
    """True if the block is kept with all of `first` or not at all."""


def blocks_of(job: Job) -> list[Block]:
    """The blocks of all segments, in order."""
    droppable = Droppable(job)
    return [b for i, s in enumerate(job.segments) for b in _blocks(i, s, job, droppable)]


def _blocks(index: int, segment: Segment, job: Job, droppable: Droppable) -> list[Block]:
    """The blocks of a segment; they tile its content, and no border lies in a protected span."""
    start, end = segment.content
    text = segment.text
    if start == end:
        return []
    sealed = segment.kind == "demonstration"
    if segment.protected:
        unit = Unit(index, start, end)
        only = Block(
            segment=index, start=start, end=end, units=(unit,), first=frozenset([unit]), sealed=True
        )
        return [only]
    unbroken = whole(text, job.policy.protect, escaped=segment.escaped)
    spans = [(start, end)] if sealed else _grouped(text, start, end, unbroken)
    first = always(text, job.policy.force)
    blocks = []
    for a, b in spans:
        units = droppable.units(index, a, b, unbroken)
        kept = {*_touched(units, first), *_touched(units, _frame(text, a, b) if sealed else [])}
        blocks.append(
            Block(segment=index, start=a, end=b, units=units, first=frozenset(kept), sealed=sealed)
        )
    return blocks


def _frame(text: str, start: int, end: int) -> list[Span]:
    """Of a demonstration: its numbers, its lines, the labels they begin with, and the sentence
    it ends in, which is the answer that it teaches to give."""
    found = [match.span() for match in _FRAME.finditer(text, start, end)]
    last = sentences(text[start:end])[-1]
    return [span for span in found if span[1] <= start + last[0]] + list(shift([last], start))


def _grouped(text: str, start: int, end: int, unbroken: Sequence[Span]) -> list[Span]:
    """Neighbouring sentences together, up to BLOCK characters."""
    groups: list[Span] = []
    for a, b in coarsen(shift(sentences(text[start:end]), start), unbroken):
        if groups and b - groups[-1][0] <= BLOCK:
            groups[-1] = (groups[-1][0], b)
        else:
            groups.append((a, b))
    return groups


def _touched(units: Sequence[Unit], spans: Sequence[Span]) -> list[Unit]:
    """Units that overlap any of the sorted, disjoint spans."""
    found: list[Unit] = []
    at = 0
    for unit in units:
        while at < len(spans) and spans[at][1] <= unit.start:
            at += 1
        if at < len(spans) and spans[at][0] < unit.end:
            found.append(unit)
    return found


def must_stay(block: Block, job: Job) -> list[Unit]:
    """What stays even beyond the budget: the policy's own words, and data that a tool gave."""
    segment = job.segments[block.segment]
    if segment.kind == "tool_output" and is_json(segment.text[slice(*segment.content)]):
        return list(block.units)
    if not job.policy.force:
        return []
    return _touched(block.units, forced(segment.text, job.policy.force))


def places(blocks: Sequence[Block], units: Sequence[Unit]) -> list[int]:
    """For each unit the index of the block that it begins in."""
    starts = [(block.segment, block.start) for block in blocks]
    return [bisect_right(starts, (unit.segment, unit.start)) - 1 for unit in units]


def at_best(
    blocks: Sequence[Block], at: Sequence[int], ranks: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What the best unit of each block is worth, shape (blocks,); `at` and `ranks` are those of
    the units."""
    best = np.full(len(blocks), -np.inf)
    np.maximum.at(best, at, ranks)
    return best


def text_of(job: Job, block: Block) -> str:
    """What stands in a block."""
    return job.segments[block.segment].text[block.start : block.end]


def context_of(job: Job, block: Block) -> str:
    """What stands in front of a block, as far as the model is shown it."""
    return job.segments[block.segment].text[max(0, block.start - CONTEXT) : block.start]


def passage_of(job: Job, block: Block) -> str:
    """A block behind the head of its document, which holds the title: what a ranker reads."""
    return job.segments[block.segment].text[: job.segments[block.segment].head] + text_of(
        job, block
    )
