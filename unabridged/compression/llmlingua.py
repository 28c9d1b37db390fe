"""Drops the words that a small language model saw coming, and keeps those that surprised it.

LLMLingua (Jiang et al., EMNLP 2023), with whole words for units. One pass of the model gives all
blocks their surprise; a second one reads each behind what is kept of those before it, where the
policy says so (`iterative`, section 4.2, Alg. 2; a block is a segment, with its own threshold).

The budget decides only how far one order of words is followed, never the order itself: first
the most surprising words of the best block, of the second best, and so on, until a share
1 / OPEN of everything has been named (the coarse step, Alg. 1: OPEN times the budget is let in
whole); then what is left of all blocks, by surprise alone. So what a small budget keeps, a
larger one keeps too.
"""

from __future__ import annotations

from collections.abc import Sequence

from unabridged.compression.blocks import Block, blocks_of, context_of, must_stay, text_of
from unabridged.compression.documents import by_texts
from unabridged.compression.job import Cut, Job, untouched
from unabridged.compression.kept import extract
from unabridged.compression.prompt import Span
from unabridged.compression.rank import order
from unabridged.compression.select import Selection, Unit, ordered, spans_of
from unabridged.compression.sentence_filter import filtered
from unabridged.compression.surprise import (
    OPEN,
    Scored,
    left_of,
    need_scorer,
    opening,
    score,
    scored,
)


def llmlingua(job: Job) -> Cut:
    """Cut the segments of a job to `job.tokens` by surprisal.

    With a question the blocks are ranked by BM25 and only those that can be reached are scored;
    without one all are scored and the least predictable come first (section 4.1).
    Demonstrations stay whole, as many as fit. Raises NoScorer if the job has none, Cancelled if
    nobody waits any more.
    """
    before = [job.count(segment.text) for segment in job.segments]
    if sum(before) <= job.tokens:
        return untouched(job.segments, "fits its budget")
    need_scorer(job)
    settings, blocks = job.policy.perplexity, blocks_of(job)
    selection = Selection(job.segments, job.count, job.checkpoint)
    must = [unit for block in blocks for unit in must_stay(block, job)]
    examples = any(segment.kind == "demonstration" for segment in job.segments)
    by_question = bool(job.question.strip()) and not examples
    if by_question:
        by_words = order(by_texts("bm25")(job, blocks))
        ranked = _reachable(job, [blocks[i] for i in by_words], selection)
    else:
        ranked = sorted(
            _score(job, blocks), key=lambda s: (-s.mean, s.block.segment, s.block.start)
        )
    if not examples:
        ranked = filtered(job, ranked) if settings.sentence_filter else ranked
        ranked = _iteratively(job, ranked, selection) if settings.iterative else ranked
    chosen = _whole(ranked, selection, job, must) if examples else []
    chosen = chosen or choose(ranked, selection, job.tokens, must)
    kept = spans_of(job.segments, chosen)
    how = "BM25 against the question" if by_question else "perplexity"
    why = tuple(_reason(job, i, before[i], kept[i], how) for i in range(len(job.segments)))
    return Cut(kept=kept, why=why)


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


def _iteratively(job: Job, ranked: Sequence[Scored], selection: Selection) -> list[Scored]:
    """The same blocks in the same order; those whose first offers fill the budget are scored
    anew, in the order of the prompt, each behind what is kept of those before it."""
    reached: list[Scored] = []
    for each in ranked:
        if selection.cost([u for r in reached for u in opening(r)[0]]) >= job.tokens:
            break
        reached.append(each)
    anew: dict[Block, Scored] = {}
    for each in sorted(reached, key=lambda s: (s.block.segment, s.block.start)):
        block = each.block
        before = left_of(job, tuple(anew.values()))
        if block.start == job.segments[block.segment].content[0]:
            before += context_of(job, block)
        [tokens] = score(job, [text_of(job, block)], [before])
        anew[block] = scored(block, tokens, each.share)
    return [anew.get(each.block, each) for each in ranked]


def _score(job: Job, blocks: Sequence[Block]) -> list[Scored]:
    found = score(job, [text_of(job, b) for b in blocks], [context_of(job, b) for b in blocks])
    return [scored(block, tokens) for block, tokens in zip(blocks, found, strict=True)]


def _whole(
    ranked: Sequence[Scored], selection: Selection, job: Job, must: Sequence[Unit]
) -> list[Unit]:
    """Demonstrations that fit whole, best first, if the policy wants them whole; none: nothing
    fits, and the words of one have to do."""
    chosen = list(must)
    found: list[Unit] = []
    if job.policy.perplexity.demonstrations == "whole":
        for each in ranked:
            more = [unit for unit in each.block.units if unit not in set(chosen)]
            if more and selection.cost([*chosen, *more]) <= job.tokens:
                chosen += more
                found += more
    return chosen if found else []


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
