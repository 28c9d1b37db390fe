"""Keeps the sentences that answer the question best, to an exact budget, without a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from unabridged.compression.job import Cut, Job
from unabridged.compression.join import whole_escapes
from unabridged.compression.kept import Spans, clip, coarsen, intersect, shift, unite
from unabridged.compression.prompt import Segment
from unabridged.compression.protect import code_lines, fences, forced, is_json, objects, whole
from unabridged.compression.rank import terms, weigh
from unabridged.compression.relevance import read, relevance
from unabridged.compression.select import Selection, Unit, ordered, spans_of
from unabridged.compression.sentences import sentences, words

Ranked = tuple[NDArray[np.float64], str]
"""One number for each sentence, higher is better, and what they were ranked by."""


def by_words(job: Job, units: Sequence[Unit]) -> Ranked:
    """Sentences by BM25 against the question, or the first of each document if nothing is asked."""
    texts = [job.segments[u.segment].text[u.start : u.end] for u in units]
    heads = [segment.text[: segment.content[0]] for segment in job.segments]
    return relevance(job.question, read(texts, [u.segment for u in units], heads))


def extractive(job: Job, rank: Callable[[Job, Sequence[Unit]], Ranked] = by_words) -> Cut:
    """The sentences that `rank` puts first.

    Demonstrations are kept or dropped whole: half a worked example teaches the wrong thing.
    Segments that are one JSON value are kept or dropped whole as well (what a tool gave back is
    kept): half of one is not JSON.
    """
    if job.segments and job.segments[0].kind == "demonstration":
        return _demonstrations(job)
    units = units_of(job.segments, job.policy.protect)
    if not units:
        return _cut(job, [], "has no sentences")
    priority, why = rank(job, units)
    job.checkpoint()
    selection = Selection(segments=job.segments, count=job.count, checkpoint=job.checkpoint)
    chosen = selection.choose(
        ordered(units, priority.tolist()),
        job.tokens,
        always=[*_results(job.segments, units), *_forced(job, units)],
        split=lambda unit: _words(job, unit),
    )
    return _cut(job, chosen, why)


def units_of(segments: Sequence[Segment], protect: Sequence[str]) -> list[Unit]:
    """The sentences of all segments, in order; what must not be divided is one of them."""
    units: list[Unit] = []
    for i, segment in enumerate(segments):
        start, end = segment.content
        content = segment.text[start:end]
        if not content.strip():
            continue
        if is_json(content):
            units.append(Unit(i, start, end))
            continue
        unbroken = whole(content, protect, escaped=segment.escaped)
        undivided = sorted([*fences(content), *objects(content), *unbroken])
        spans = coarsen(sentences(content), undivided)
        units.extend(Unit(i, a + start, b + start) for a, b in spans)
    return units


def _forced(job: Job, units: Sequence[Unit]) -> list[Unit]:
    """The sentences that hold what the policy forces."""
    if not job.policy.force:
        return []
    marks = [forced(segment.text, job.policy.force) for segment in job.segments]
    return [u for u in units if intersect(((u.start, u.end),), marks[u.segment])]


def _results(segments: Sequence[Segment], units: Sequence[Unit]) -> list[Unit]:
    """JSON that a tool gave back: an agent that asked for it must find it."""
    return [
        u
        for u in units
        if segments[u.segment].kind == "tool_output"
        and (u.start, u.end) == segments[u.segment].content
        and is_json(segments[u.segment].text[u.start : u.end])
    ]


def _words(job: Job, unit: Unit) -> list[Unit]:
    """The words of a sentence, protected stretches as one; a JSON value or code stays whole."""
    segment = job.segments[unit.segment]
    text = segment.text[unit.start : unit.end]
    lines = clip(code_lines(segment.text, escaped=segment.escaped), unit.start, unit.end)
    barriers = unite(_barriers(text, job, segment.escaped), shift(lines, -unit.start))
    if barriers == ((0, len(text)),):
        return [unit]
    spans = coarsen(words(segment.text, unit.start, unit.end), shift(barriers, unit.start))
    return [
        Unit(unit.segment, start, end)
        for start, end in (
            clip(whole_escapes(segment, (s,)), unit.start, unit.end)[0] for s in spans
        )
    ]


def _barriers(text: str, job: Job, escaped: bool) -> Spans:
    if is_json(text):
        return ((0, len(text)),)
    return whole(text, job.policy.protect, escaped=escaped)


def _demonstrations(job: Job) -> Cut:
    """Whole demonstrations: those most like the question first, each unlike those before it."""
    bags = [Counter(terms(segment.text)) for segment in job.segments]
    likeness = weigh(terms(job.question), bags)
    likeness /= max(likeness.max(initial=0.0), 1e-9)
    units = [Unit(i, *segment.content) for i, segment in enumerate(job.segments)]
    units = [unit for unit in units if unit.start < unit.end]
    order: list[Unit] = []
    seen: Counter[str] = Counter()
    left = list(units)
    while left:
        best = max(
            left, key=lambda u: (likeness[u.segment] - _overlap(bags[u.segment], seen), -u.segment)
        )
        order.append(best)
        seen |= bags[best.segment]
        left.remove(best)
    selection = Selection(segments=job.segments, count=job.count, checkpoint=job.checkpoint)
    chosen: list[Unit] = _forced(job, units)
    for unit in order:
        if unit not in chosen and selection.cost([*chosen, unit]) <= job.tokens:
            chosen.append(unit)
    return _cut(job, chosen, "demonstrations whole, those most like the question first")


def _overlap(bag: Counter[str], seen: Counter[str]) -> float:
    """The share of a demonstration's terms that those chosen before have already."""
    return sum(1 for term in bag if term in seen) / max(len(bag), 1)


def _cut(job: Job, chosen: Sequence[Unit], by: str) -> Cut:
    kept = spans_of(job.segments, chosen)
    return Cut(
        kept=kept, why=tuple(_why(s, k, by) for s, k in zip(job.segments, kept, strict=True))
    )


def _why(segment: Segment, kept: Spans, by: str) -> str:
    if not kept:
        return f"dropped: others rank above it ({by})" if segment.text else "empty"
    if kept == ((0, len(segment.text)),):
        if segment.kind == "tool_output" and is_json(segment.text[slice(*segment.content)]):
            return "kept whole: JSON from a tool is not cut by sentences"
        return f"kept whole ({by})"
    return f"cut to {by}"
