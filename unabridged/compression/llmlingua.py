"""Drops the words that a small language model saw coming, and keeps those that surprised it.

LLMLingua (Jiang et al., EMNLP 2023), with whole words for units and one pass of the model.

The budget decides only how far one order of words is followed, never the order itself: first
the most surprising words of the best block, of the second best, and so on, until a share
1 / OPEN of everything has been named (the coarse step, Alg. 1: OPEN times the budget is let in
whole); then what is left of all blocks, by surprise alone. So what a small budget keeps, a
larger one keeps too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import regex
from numpy.typing import NDArray

from unabridged.compression.droppable import Droppable, in_turn
from unabridged.compression.job import Cut, Job, untouched
from unabridged.compression.kept import coarsen, extract, shift
from unabridged.compression.prompt import Segment, Span
from unabridged.compression.protect import always, forced, is_json, whole
from unabridged.compression.rank import bm25
from unabridged.compression.scorer import TokenScores
from unabridged.compression.select import Selection, Unit, ordered, spans_of
from unabridged.compression.sentences import sentences

OPEN = 2.0
"""Times the budget that is let in before words are dropped (k in Alg. 1)."""

BLOCK = 1200
"""Characters of a long document that are ranked and scored together, to the next sentence."""

CONTEXT = 300
"""Characters in front of a block that the model is shown."""

LONG_WORD = 4.0
"""Tokens up to which a longer word is worth more than a short one of the same surprise for each
token. Names are long; but so are code and addresses, which would always come first without it."""

BATCH = 2400
"""Characters that are scored between two looks at whether anybody still waits."""

_FRAME = regex.compile(r"\p{N}|\n|(?m:^[^\n:：]{1,24}[:：])")


class NoScorer(Exception):
    """There are no weights to score with."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A block, with the surprise of its words in nats; see `pooled`."""

    block: Block
    values: NDArray[np.float64]
    """Shape (units,)."""
    mean: float
    """Of all its tokens: the logarithm of its perplexity."""
    share: float = 1 / OPEN
    """Of its characters, that it offers before the rest of any block has its turn."""


def llmlingua(job: Job) -> Cut:
    """Cut the segments of a job to `job.tokens` by surprisal.

    With a question the blocks are ranked by BM25 and only those that can be reached are scored;
    without one all are scored and the least predictable come first (section 4.1). Raises
    NoScorer if the job has none, Cancelled if nobody waits any more.
    """
    before = [job.count(segment.text) for segment in job.segments]
    if sum(before) <= job.tokens:
        return untouched(job.segments, "fits its budget")
    if job.scorer is None:
        raise NoScorer(
            f"no weights for scorer {job.policy.scorer!r}; `unabridged models pull "
            f"{job.policy.scorer}` fetches them, or choose another compressor"
        )
    blocks = blocks_of(job)
    selection = Selection(job.segments, job.count, job.checkpoint)
    must = [unit for block in blocks for unit in must_stay(block, job)]
    by_question = bool(job.question.strip()) and not any(
        segment.kind == "demonstration" for segment in job.segments
    )
    if by_question:
        ranked = _reachable(job, by_words(blocks, job), selection)
    else:
        ranked = sorted(
            _score(job, blocks), key=lambda s: (-s.mean, s.block.segment, s.block.start)
        )
    chosen = choose(ranked, selection, job.tokens, must)
    kept = spans_of(job.segments, chosen)
    how = "BM25 against the question" if by_question else "perplexity"
    why = tuple(_reason(job, i, before[i], kept[i], how) for i in range(len(job.segments)))
    return Cut(kept=kept, why=why)


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
    unbroken = whole(text, job.policy.protect)
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


def by_words(blocks: Sequence[Block], job: Job) -> list[Block]:
    texts = [job.segments[b.segment].text for b in blocks]
    passages = [
        text[: job.segments[b.segment].head] + text[b.start : b.end]
        for b, text in zip(blocks, texts, strict=True)
    ]
    relevance = bm25(job.question, passages)
    return [blocks[i] for i in np.argsort(-np.asarray(relevance), kind="stable")]


def _reachable(job: Job, ranked: Sequence[Block], selection: Selection) -> list[Scored]:
    """Score the best blocks until what they offer first fills the budget."""
    found: list[Scored] = []
    offered: list[Unit] = []
    at = 0
    while at < len(ranked):
        spent = selection.cost(offered)
        if spent >= job.tokens:
            break
        tokens = 0
        to = at
        while to < len(ranked) and tokens < OPEN * (job.tokens - spent):
            block = ranked[to]
            tokens += job.count(job.segments[block.segment].text[block.start : block.end])
            to += 1
        more = _score(job, ranked[at:to])
        found += more
        offered += [unit for each in more for unit in opening(each)[0]]
        at = to
    return found


def _score(job: Job, blocks: Sequence[Block]) -> list[Scored]:
    found = score(job, [text_of(job, b) for b in blocks], [context_of(job, b) for b in blocks])
    return [scored(block, tokens) for block, tokens in zip(blocks, found, strict=True)]


def text_of(job: Job, block: Block) -> str:
    """What stands in a block."""
    return job.segments[block.segment].text[block.start : block.end]


def context_of(job: Job, block: Block) -> str:
    """What stands in front of a block, as far as the model is shown it."""
    return job.segments[block.segment].text[max(0, block.start - CONTEXT) : block.start]


def score(job: Job, texts: Sequence[str], conditions: Sequence[str]) -> list[TokenScores]:
    """Score texts, longest first so that little is padded, and give them back in their order."""
    assert job.scorer is not None
    scorer = job.scorer()
    found: dict[int, TokenScores] = {}
    queue = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), i))
    while queue:
        job.checkpoint()
        batch: list[int] = []
        size = 0
        while queue and (not batch or size < BATCH):
            batch.append(queue.pop(0))
            size += len(texts[batch[-1]])
        fresh = scorer.score([texts[i] for i in batch], [conditions[i] for i in batch])
        found.update(zip(batch, fresh, strict=True))
    return [found[i] for i in range(len(texts))]


def scored(block: Block, tokens: TokenScores, share: float = 1 / OPEN) -> Scored:
    """A block with the surprise of its words."""
    stretches = [
        [(a - block.start, b - block.start) for a, b in unit.spans] for unit in block.units
    ]
    values = in_turn(block.units, pooled(tokens, block.end - block.start, stretches))
    mean = float(tokens.scores.mean()) if len(tokens.scores) else 0.0
    return Scored(block=block, values=values, mean=round(mean, 3), share=share)


def pooled(
    tokens: TokenScores, length: int, stretches: Sequence[Sequence[Span]]
) -> NDArray[np.float64]:
    """Surprise of each stretch of a text of `length` characters, in nats: the sum over its
    tokens, and for one of more than LONG_WORD tokens the sum that so many would have. A stretch
    is one span or several.

    A token that lies on an edge counts to both sides by its characters; several tokens on one
    character (bytes of a rare one) all count to it.
    """
    widths = np.maximum(tokens.spans[:, 1] - tokens.spans[:, 0], 1)
    nats, count = np.zeros(length + 1), np.zeros(length + 1)
    for ends, sign in ((tokens.spans[:, 0], 1), (tokens.spans[:, 0] + widths, -1)):
        at = np.minimum(ends, length)
        np.add.at(nats, at, sign * tokens.scores / widths)
        np.add.at(count, at, sign / widths)
    nats, count = (np.concatenate([[0.0], np.cumsum(np.cumsum(x)[:-1])]) for x in (nats, count))
    flat = np.array([span for spans in stretches for span in spans], dtype=np.int64).reshape(-1, 2)
    firsts = np.cumsum([0, *map(len, stretches)])[:-1]
    share, sums = (
        np.add.reduceat(x[flat[:, 1]] - x[flat[:, 0]], firsts) if len(flat) else np.zeros(0)
        for x in (count, nats)
    )
    value: NDArray[np.float64] = sums / np.maximum(share / LONG_WORD, 1.0)
    return value.round(3)


def opening(offer: Scored) -> tuple[list[Unit], list[tuple[float, Unit]]]:
    """What a block offers first, best first, and the rest with its surprise."""
    block = offer.block
    first = [unit for unit in block.units if unit in block.first]
    others = [i for i, unit in enumerate(block.units) if unit not in block.first]
    ranked = sorted(others, key=lambda i: (-offer.values[i], i))
    room = (block.end - block.start) * offer.share - sum(u.end - u.start for u in first)
    for place, i in enumerate(ranked):
        room -= block.units[i].end - block.units[i].start
        if room < 0:
            rest = [(float(offer.values[j]), block.units[j]) for j in ranked[place:]]
            return [*first, *(block.units[j] for j in ranked[:place])], rest
    return [*first, *(block.units[j] for j in ranked)], []


def choose(
    ranked: Sequence[Scored], selection: Selection, budget: int, must: Sequence[Unit]
) -> list[Unit]:
    """Follow the order as far as the budget goes; a sealed block that would lose some of its
    first units is left out whole."""
    dropped: set[int] = set()
    best: list[Unit] | None = None
    while True:
        order: list[Unit] = []
        rest: list[tuple[float, Unit]] = []
        for place, each in enumerate(ranked):
            if place not in dropped:
                before, others = opening(each)
                order += before
                rest += others
        rest.sort(key=lambda pair: (pair[1].segment, pair[1].start))
        order += ordered([unit for _, unit in rest], [value for value, _ in rest])
        chosen = selection.choose(order, budget, always=must)
        best = chosen if best is None else best
        kept = set(chosen)
        broken = {
            place
            for place, each in enumerate(ranked)
            if each.block.sealed
            and kept.intersection(each.block.units)
            and not kept.issuperset(each.block.first)
        } - dropped
        if not broken:
            # With nothing that fits whole, a part is more than nothing.
            return chosen or best
        dropped |= broken


def _reason(job: Job, index: int, before: int, kept: Sequence[Span], how: str) -> str:
    if not kept:
        return f"dropped: no room in {job.tokens} tokens, ranked by {how}"
    text = job.segments[index].text
    if kept[0] == (0, len(text)):
        return f"kept whole, ranked by {how}"
    after = job.count(extract(text, kept))
    return f"{after} of {before} tokens kept: the words that surprised the model most"
