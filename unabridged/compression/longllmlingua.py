"""Keeps the documents that answer the question, and in them the words that it points to.

LongLLMLingua (Jiang et al., ACL 2024). Documents rank by their best sentence, or as published: a
document and the question behind it go through the model together, the question's tokens rank the
document (section 4.1), and the document's own tokens are its surprise, so that neither is computed
again. Contrastive perplexity (4.2) needs the question in front as well, so that second pass is
made for the documents that the budget reaches alone.

As in llmlingua, the budget decides how far one order of words is followed, never the order. The
dynamic ratio (4.4) is the share of its words that a document offers first: more from the best,
less from the last candidate. Whatever clamping does to the shares, the order is followed until
the budget is used up, so that it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unabridged.compression.as_published import as_published
from unabridged.compression.blocks import Block, blocks_of, context_of, must_stay, text_of
from unabridged.compression.documents import DOCUMENT_RANKERS, by_sentences, joined
from unabridged.compression.job import Cut, Job, untouched
from unabridged.compression.judge import foresight, mean
from unabridged.compression.kept import extract
from unabridged.compression.llmlingua import choose, llmlingua
from unabridged.compression.prompt import Span
from unabridged.compression.rank import order
from unabridged.compression.reorder import order_of
from unabridged.compression.scorer import TokenScores
from unabridged.compression.select import Selection, Unit, spans_of
from unabridged.compression.sentence_filter import filtered
from unabridged.compression.surprise import Scored, left_of, need_scorer, opening, score, scored
from unabridged.policies.policy import Perplexity


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Blocks, the best first."""

    blocks: tuple[Block, ...]
    own: dict[Block, TokenScores]
    """What each token of those that the model has seen cost it, without the question."""
    given: dict[Block, TokenScores]
    """The same, behind the question."""
    by: str
    """What they were ranked by, for the reasons."""


def longllmlingua(job: Job) -> Cut:
    """Cut the segments of a job to `job.tokens` by what the question makes of them.

    Without a question, and for demonstrations, as llmlingua does. Raises NoScorer if the job
    has no scorer, Cancelled if nobody waits any more.
    """
    if not job.question.strip() or any(s.kind == "demonstration" for s in job.segments):
        return llmlingua(job)
    before = [job.count(segment.text) for segment in job.segments]
    if sum(before) <= job.tokens:
        return untouched(job.segments, "fits its budget")
    need_scorer(job)
    settings = job.policy.perplexity
    blocks = blocks_of(job)
    ranking = rank(job, blocks)
    selection = Selection(job.segments, job.count, job.checkpoint)
    must = [unit for block in blocks for unit in must_stay(block, job)]
    reached = _reached(job, ranking, selection)
    kept = spans_of(job.segments, choose(reached, selection, job.tokens, must))
    places = list(dict.fromkeys(block.segment for block in ranking.blocks))
    return Cut(
        kept=kept,
        why=tuple(
            _reason(
                job, i, before[i], kept[i], ranking.by, places.index(i) + 1 if i in places else 0
            )
            for i in range(len(job.segments))
        ),
        order=order_of(job.segments, places, settings.reorder),
    )


def rank(job: Job, blocks: Sequence[Block]) -> Ranking:
    """The blocks, the best first, by what the policy says (`perplexity.rank`).

    The causal model tries only the best by other means: by the sentences that words, vectors and
    links point to. Which ones are tried does not depend on the budget, nor does their order.
    """
    settings = job.policy.perplexity
    if settings.rank in DOCUMENT_RANKERS:
        places = order(DOCUMENT_RANKERS[settings.rank](job, blocks))
        return Ranking(blocks=tuple(blocks[i] for i in places), own={}, given={}, by=settings.rank)
    if settings.rank == "llmlingua":
        own = dict(zip(blocks, _plain(job, blocks), strict=True))
        places = order(np.array([mean(own[block]) for block in blocks]).round(3))
        return Ranking(
            blocks=tuple(blocks[i] for i in places), own=own, given={}, by="their perplexity"
        )
    plausible = [blocks[i] for i in order(by_sentences(job, blocks))]
    tried = plausible[: settings.candidates]
    own, given, expected = _foretell(job, tried)
    places = order(expected)
    if settings.rank == "both":
        places = joined(range(len(tried)), places)
    return Ranking(
        blocks=(*(tried[i] for i in places), *plausible[len(tried) :]),
        own=own,
        given=given,
        by="the question",
    )


def _foretell(
    job: Job, tried: Sequence[Block]
) -> tuple[dict[Block, TokenScores], dict[Block, TokenScores], NDArray[np.float64]]:
    """What the model makes of blocks and question together: the surprise of their own words
    without and with the question in front, as far as it was computed, and how well each block
    goes with the question (higher is better)."""
    if job.policy.perplexity.condition == "before":
        given = dict(zip(tried, _asked(job, tried), strict=True))
        return {}, given, np.array([-mean(given[block]) for block in tried]).round(3)
    own, expected = foresight(job, tried)
    return own, {}, expected


def _plain(job: Job, blocks: Sequence[Block], prefix: str = "") -> list[TokenScores]:
    """The surprise of blocks behind `prefix` and what stands in front of them."""
    before = [prefix + context_of(job, block) for block in blocks]
    return score(job, [text_of(job, block) for block in blocks], before)


def _asked(job: Job, blocks: Sequence[Block], prefix: str = "") -> list[TokenScores]:
    """The same with the question in front of everything."""
    return _plain(job, blocks, f"{job.question.strip()}\n\n{prefix}")


def shares(candidates: int, blocks: int, let_in: float, delta: float) -> list[float]:
    """The share of its words that each block offers first, the best block first (section 4.4).

    `let_in`: tokens that are let in for each one of the budget. The shares fall in equal steps
    from 1 / let_in + delta to 1 / let_in - delta over the candidates, clamped to what a share
    can be; those behind the candidates offer as much as the last one.
    """
    steps = max(min(candidates, blocks) - 1, 1)
    return [
        min(max(1 / let_in + delta * (1 - 2 * min(place / steps, 1.0)), 0.05), 1.0)
        for place in range(blocks)
    ]


def let_in(settings: Perplexity, tokens: int) -> float:
    """Tokens of documents for each token of the budget: `*2` is 2, `+100` of 400 is 1.25."""
    sign, number = settings.context_budget[0], float(settings.context_budget[1:])
    return max(number if sign == "*" else 1 + number / max(tokens, 1), 1.0)


def _reached(job: Job, ranking: Ranking, selection: Selection) -> list[Scored]:
    """The best blocks, scored, until what they offer first fills the budget."""
    settings = job.policy.perplexity
    blocks = ranking.blocks
    times = let_in(settings, job.tokens)
    offers = shares(settings.candidates, len(blocks), times, settings.dynamic_ratio)
    found: list[Scored] = []
    offered: list[Unit] = []
    at = 0
    while at < len(blocks):
        spent = selection.cost(offered)
        if spent >= job.tokens:
            break
        tokens = 0.0
        to = at
        while to < len(blocks) and (to == at or tokens < job.tokens - spent):
            tokens += offers[to] * job.count(text_of(job, blocks[to]))
            to += 1
        found += _offers(job, blocks[at:to], offers[at:to], ranking, found)
        offered = [unit for each in found for unit in opening(each)[0]]
        at = to
    found = filtered(job, found) if settings.sentence_filter else found
    return _published(job, found, ranking) if settings.as_published else found


def _offers(
    job: Job,
    blocks: Sequence[Block],
    offers: Sequence[float],
    ranking: Ranking,
    before: Sequence[Scored],
) -> list[Scored]:
    """Some blocks, scored; one behind what those before it offer, if that is asked for."""
    if not job.policy.perplexity.iterative:
        values = _values(job, blocks, ranking)
        return [scored(*each) for each in zip(blocks, values, offers, strict=True)]
    found: list[Scored] = []
    for block, share in zip(blocks, offers, strict=True):
        [tokens] = _values(job, [block], ranking, left_of(job, (*before, *found)))
        found.append(scored(block, tokens, share))
    return found


def _published(job: Job, found: Sequence[Scored], ranking: Ranking) -> list[Scored]:
    """The same blocks with the reference's choice of words."""
    blocks = sorted((each.block for each in found), key=lambda b: (b.segment, b.start))
    values = as_published(_values(job, blocks, ranking))
    return [scored(block, tokens, 0.0) for block, tokens in zip(blocks, values, strict=True)]


def _values(
    job: Job, blocks: Sequence[Block], ranking: Ranking, prefix: str = ""
) -> list[TokenScores]:
    """What each token of some blocks is worth: its surprise, or how much of that the question
    takes away (section 4.2: log p(x | question, before) - log p(x | before))."""
    own = _known(blocks, {} if prefix else ranking.own, lambda new: _plain(job, new, prefix))
    if not job.policy.perplexity.contrastive:
        return own
    given = _known(blocks, {} if prefix else ranking.given, lambda new: _asked(job, new, prefix))
    return [_less(plain, after) for plain, after in zip(own, given, strict=True)]


def _known(
    blocks: Sequence[Block],
    known: Mapping[Block, TokenScores],
    compute: Callable[[Sequence[Block]], list[TokenScores]],
) -> list[TokenScores]:
    fresh = [block for block in blocks if block not in known]
    found = {**known, **dict(zip(fresh, compute(fresh), strict=True))}
    return [found[block] for block in blocks]


def _less(own: TokenScores, given: TokenScores) -> TokenScores:
    # Behind other text a tokenizer may cut the last token differently: then it counts as nothing.
    known = {
        tuple(span): value for span, value in zip(given.spans.tolist(), given.scores, strict=True)
    }
    scores = [
        value - known.get(tuple(span), value)
        for span, value in zip(own.spans.tolist(), own.scores, strict=True)
    ]
    return TokenScores(spans=own.spans, scores=np.array(scores, dtype=np.float32))


def _reason(job: Job, index: int, before: int, kept: Sequence[Span], by: str, place: int) -> str:
    by = f"document {place} in the ranking by {by}" if place else "no content"
    if not kept:
        return f"dropped: no room in {job.tokens} tokens ({by})"
    text = job.segments[index].text
    if kept[0] == (0, len(text)):
        return f"kept whole ({by})"
    after = job.count(extract(text, kept))
    return f"{after} of {before} tokens kept: the words that the question points to ({by})"
