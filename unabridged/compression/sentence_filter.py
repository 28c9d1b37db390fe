"""Which sentences of the documents may give words: the middle step between documents and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unabridged.compression.job import Job
from unabridged.compression.kept import coarsen, shift
from unabridged.compression.prompt import Span
from unabridged.compression.protect import whole
from unabridged.compression.sentences import sentences
from unabridged.compression.surprise import Scored

LAST = 1000.0
"""More than any word is worth: words of other sentences come behind all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence of a scored block."""

    block: int
    span: Span
    worth: float
    """Mean worth of its words."""
    held: bool
    """True if it is kept whatever it is worth: one of the first, the last or the best ones."""


def filtered(job: Job, blocks: Sequence[Scored]) -> list[Scored]:
    """The blocks with only the words of their best sentences in front: as many as fill
    `sentence_budget` times the budget. Which words are kept of them is decided afterwards, and
    words of other sentences come last, so that the budget is met all the same."""
    settings = job.policy.perplexity
    found = sorted(_sentences(job, blocks), key=lambda s: (not s.held, -s.worth, s.block, s.span))
    room = settings.sentence_budget * job.tokens
    chosen: list[list[Span]] = [[] for _ in blocks]
    for sentence in found:
        if room < 0:
            break
        segment = job.segments[blocks[sentence.block].block.segment]
        room -= job.count(segment.text[slice(*sentence.span)])
        chosen[sentence.block].append(sentence.span)
    return [_only(block, spans) for block, spans in zip(blocks, chosen, strict=True)]


def _sentences(job: Job, blocks: Sequence[Scored]) -> list[Sentence]:
    """The sentences of all blocks; which are held is decided for each document as a whole."""
    found: dict[int, list[Sentence]] = {}
    ends = {each.block.segment: _ends(job, each.block.segment) for each in blocks}
    for index, scored in enumerate(blocks):
        block = scored.block
        first, last = ends[block.segment]
        starts = np.array([unit.start for unit in block.units])
        for a, b in _spans(job, block.segment, block.start, block.end):
            inside = (starts >= a) & (starts < b)
            worth = round(float(scored.values[inside].mean()), 3) if inside.any() else 0.0
            sentence = Sentence(block=index, span=(a, b), worth=worth, held=b <= first or a >= last)
            found.setdefault(block.segment, []).append(sentence)
    return [sentence for own in found.values() for sentence in _best_held(job, own)]


def _best_held(job: Job, own: Sequence[Sentence]) -> list[Sentence]:
    best = sorted(own, key=lambda s: (-s.worth, s.span))[: job.policy.perplexity.keep_sentences]
    return [replace(sentence, held=sentence.held or sentence in best) for sentence in own]


def _ends(job: Job, segment: int) -> tuple[int, int]:
    """Where the first sentences that a document keeps end, and where its last ones begin."""
    start, end = job.segments[segment].content
    spans = _spans(job, segment, start, end)
    first = spans[: job.policy.perplexity.keep_first_sentences]
    last = spans[max(len(spans) - job.policy.perplexity.keep_last_sentences, 0) :]
    return first[-1][1] if first else start, last[0][0] if last else end


def _spans(job: Job, segment: int, start: int, end: int) -> list[Span]:
    text = job.segments[segment].text
    unbroken = whole(text, job.policy.protect, escaped=job.segments[segment].escaped)
    return coarsen(shift(sentences(text[start:end]), start), unbroken)


def _only(scored: Scored, spans: Sequence[Span]) -> Scored:
    units = scored.block.units
    inside = np.array([any(a <= u.start < b for a, b in spans) for u in units], dtype=bool)
    size = sum(b - a for a, b in spans) / max(scored.block.end - scored.block.start, 1)
    values = np.where(inside, scored.values, scored.values - LAST)
    return replace(scored, values=values, share=min(scored.share, size))
