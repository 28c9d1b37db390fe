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
    found = [s for i, block in enumerate(blocks) for s in _sentences(job, i, block)]
    found.sort(key=lambda s: (not s.held, -s.worth, s.block, s.span))
    room = settings.sentence_budget * job.tokens
    chosen: list[list[Span]] = [[] for _ in blocks]
    for sentence in found:
        if room < 0:
            break
        segment = job.segments[blocks[sentence.block].block.segment]
        room -= job.count(segment.text[slice(*sentence.span)])
        chosen[sentence.block].append(sentence.span)
    return [_only(block, spans) for block, spans in zip(blocks, chosen, strict=True)]


def _sentences(job: Job, index: int, scored: Scored) -> list[Sentence]:
    settings, block = job.policy.perplexity, scored.block
    text = job.segments[block.segment].text
    spans = coarsen(
        shift(sentences(text[block.start : block.end]), block.start),
        whole(text, job.policy.protect),
    )
    starts = np.array([unit.start for unit in block.units])
    worth = [
        float(scored.values[(starts >= a) & (starts < b)].mean())
        if ((starts >= a) & (starts < b)).any()
        else 0.0
        for a, b in spans
    ]
    best = sorted(range(len(spans)), key=lambda i: (-worth[i], i))[: settings.keep_sentences]
    held = {
        *range(min(settings.keep_first_sentences, len(spans))),
        *range(max(len(spans) - settings.keep_last_sentences, 0), len(spans)),
        *best,
    }
    return [
        Sentence(block=index, span=span, worth=round(worth[i], 3), held=i in held)
        for i, span in enumerate(spans)
    ]


def _only(scored: Scored, spans: Sequence[Span]) -> Scored:
    units = scored.block.units
    inside = np.array([any(a <= u.start < b for a, b in spans) for u in units], dtype=bool)
    size = sum(b - a for a, b in spans) / max(scored.block.end - scored.block.start, 1)
    values = np.where(inside, scored.values, scored.values - LAST)
    return replace(scored, values=values, share=min(scored.share, size))
