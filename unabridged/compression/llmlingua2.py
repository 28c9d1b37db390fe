"""Keeps the words that a small bidirectional encoder marks as worth keeping.

LLMLingua-2 (Pan et al., Findings of ACL 2024), with one order of words for every budget: a text is
judged once, and a smaller budget keeps a part of what a larger one keeps. Where something is asked,
the documents that fit the question best offer a part of their words before the others have their
turn (appendix of LLMLingua-2: ranking by the question, the classifier inside).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import regex
from numpy.typing import NDArray

from unabridged.compression.blocks import Block, blocks_of, must_stay
from unabridged.compression.classifier import Classifier, Judged, NoClassifier, pooled
from unabridged.compression.documents import by_texts
from unabridged.compression.droppable import in_turn
from unabridged.compression.job import Cut, Job, untouched
from unabridged.compression.kept import Spans, clip, extract, normalise
from unabridged.compression.llmlingua import choose
from unabridged.compression.prompt import Span
from unabridged.compression.rank import order
from unabridged.compression.select import Selection, Unit, spans_of
from unabridged.compression.sentences import words
from unabridged.compression.surprise import Scored
from unabridged.policies.policy import Words as Wishes

_DIGIT = regex.compile(r"\p{N}")

FRAME = 0.25
"""Part of a segment's head and tail that its best words have to be worth as well."""

SENTENCE = 0.5
"""How much a sentence's probability counts beside the word's, as an exponent."""

LINE = 0.5
"""What a line break is worth, the best word of the line before it being worth 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words of one block and what each of them is worth."""

    block: Block
    values: NDArray[np.float64]
    """Shape (units,): probability that the word stays."""
    rank: float
    """Probability that the block's segment answers the question; else that of its mean word."""


def llmlingua2(job: Job) -> Cut:
    """Cut the segments of a job to `job.tokens` by the probability that each word stays.

    Raises NoClassifier if the job has none, Cancelled if nobody waits any more.
    """
    before = [job.count(segment.text) for segment in job.segments]
    if sum(before) <= job.tokens:
        return untouched(job.segments, "fits its budget")
    classifier = job.classifier()
    if classifier is None:
        raise NoClassifier(
            f"the weights of classifier {job.policy.classifier!r} are not loaded: `unabridged "
            "models pull` fetches them; until then choose another compressor"
        )
    wishes = job.policy.words
    judged = read(job, classifier)
    blocks: list[list[Block]] = [[] for _ in job.segments]
    for block in blocks_of(job):
        blocks[block.segment].append(block)
    found = [
        each
        for i, (own, made) in enumerate(zip(blocks, judged, strict=True))
        for each in _words(job, i, own, made)
    ]
    ranked, how = _ranked(job, found)
    let_in = _let_in(wishes, [each.block.segment for each in ranked], before)
    share = wishes.first if by_question(job) else 0.0
    scored = [
        Scored(block=each.block, values=each.values, mean=each.rank, share=share)
        for each in ranked
        if each.block.segment in let_in
    ]
    selection = Selection(job.segments, job.count, job.checkpoint)
    must = [unit for each in found for unit in must_stay(each.block, job)]
    kept = list(spans_of(job.segments, choose(scored, selection, job.tokens, must)))
    if wishes.drop_consecutive:
        kept = [once(s.text, spans) for s, spans in zip(job.segments, kept, strict=True)]
    why = tuple(_reason(job, i, before[i], kept[i], how) for i in range(len(kept)))
    return Cut(kept=tuple(kept), why=why)


def read(job: Job, classifier: Classifier) -> list[Judged]:
    """What the classifier makes of the content of each segment."""
    texts = [segment.text[slice(*segment.content)] for segment in job.segments]
    questions = [job.question] * len(texts) if by_question(job) and classifier.asks else ()
    return classifier.judge(
        texts, questions, ends=job.policy.words.chunk_ends, checkpoint=job.checkpoint
    )


def by_question(job: Job) -> bool:
    """True if documents are to be judged by what is asked."""
    asked = job.policy.words.by_question is not None and bool(job.question.strip())
    return asked and not any(segment.kind == "demonstration" for segment in job.segments)


def _words(job: Job, index: int, blocks: Sequence[Block], judged: Judged) -> list[Words]:
    """The blocks of a segment with the values of their words."""
    segment = job.segments[index]
    units = [unit for block in blocks for unit in block.units]
    if not units:
        return []
    spans = judged.spans + segment.content[0]
    keep = judged.keep if judged.sentence is None else judged.keep * judged.sentence**SENTENCE
    stretches = [unit.spans for unit in units]
    likely = worth(segment.text, units, pooled(spans, keep, stretches, job.policy.words.pool))
    costs = [job.count(segment.text[unit.start : unit.end]) for unit in units]
    frame = job.count(segment.text[: segment.content[0]] + segment.text[segment.content[1] :])
    values = priced(likely, np.array(costs, dtype=float), frame)
    if job.policy.words.force_digits:
        forced = [bool(_DIGIT.search(segment.text, u.start, u.end)) for u in units]
        values = np.where(forced, 1 + values, values)
    values = in_turn(units, values)
    found = []
    for block, own in zip(blocks, np.split(values, _ends(blocks)), strict=True):
        inside = (spans[:, 0] < block.end) & (spans[:, 1] > block.start)
        mean = float(judged.keep[inside].mean()) if inside.any() else 0.0
        rank = mean if judged.relevance is None else judged.relevance
        found.append(Words(block=block, values=own.round(5), rank=round(rank, 4)))
    return found


def _ends(blocks: Sequence[Block]) -> list[int]:
    return [int(end) for end in np.cumsum([len(block.units) for block in blocks])[:-1]]


def priced(
    likely: NDArray[np.float64], costs: NDArray[np.float64], frame: int
) -> NDArray[np.float64]:
    """What each word of a segment is worth for what it costs: its probability by the root of its
    tokens. The first word kept also pays a part of `frame`, the tokens of head and tail, so the
    words of a segment share that price as far as sharing makes them cheaper (the best mean over
    any number of best words). The order of words does not change by it.
    """
    price = np.sqrt(np.maximum(costs, 1))
    each = likely / price
    if not frame:
        return each
    order = np.argsort(-each, kind="stable")
    means = np.cumsum(likely[order]) / (np.cumsum(price[order]) + FRAME * frame)
    best = int(means.argmax())
    found = each.copy()
    # Together they have the mean, and among themselves they keep their order.
    found[order[: best + 1]] = means[best] * (1 + 1e-3 * each[order[: best + 1]])
    return found


def worth(text: str, units: Sequence[Unit], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values with one for what has no token: a line break is worth a part of its line, anything
    else stays."""
    found = values.copy()
    best = 0.0
    for i, unit in enumerate(units):
        if not np.isnan(found[i]):
            best = max(best, found[i])
        elif text[unit.start : unit.end].isspace():
            found[i], best = LINE * best, 0.0
        else:
            found[i] = 1.0
    return found


def _ranked(job: Job, found: Sequence[Words]) -> tuple[list[Words], str]:
    """Blocks in the order they have their turn in, and by what."""
    by_model = sorted(found, key=lambda w: (-w.rank, w.block.segment, w.block.start))
    if not by_question(job):
        return by_model, "by probability"
    if job.policy.words.by_question == "classifier":
        return by_model, "documents by the classifier, with the question"
    of = {each.block: each for each in found}
    blocks = [each.block for each in found]
    ranked = [of[blocks[i]] for i in order(by_texts("bm25")(job, blocks))]
    return ranked, "documents by BM25 against the question"


def _let_in(wishes: Wishes, ranked: Sequence[int], sizes: Sequence[int]) -> frozenset[int]:
    """The segments that the context filter lets through: the first ones by rank. `sizes`: tokens
    of each segment."""
    order = list(dict.fromkeys(ranked))
    most = len(order) if wishes.contexts is None else wishes.contexts
    most = min(most, max(round(wishes.context_rate * len(sizes)), 1))
    if wishes.context_tokens is not None:
        reached = np.cumsum([sizes[i] for i in order]) >= wishes.context_tokens
        most = min(most, int(reached.argmax()) + 1 if reached.any() else most)
    return frozenset(order[:most])


def once(text: str, spans: Spans) -> Spans:
    """Of marks and line breaks that follow each other with nothing kept between them, the first
    alone (drop_consecutive)."""
    found: list[Span] = []
    last = ""
    for a, b in spans:
        for start, end in words(text, a, b):
            word = text[start:end].strip(" \t")
            mark = bool(word) and not word[0].isalnum()
            if not (mark and word == last):
                found.append((start, end))
            last = word
    return normalise(found)


def labelled(texts: Sequence[str], kept: Sequence[Spans]) -> list[tuple[str, bool]]:
    """Each word of some texts, and whether it was kept (return_word_label)."""
    return [
        (word, bool(clip(spans, start, end)))
        for text, spans in zip(texts, kept, strict=True)
        for start, end in words(text)
        if (word := text[start:end].strip())
    ]


def _reason(job: Job, index: int, before: int, kept: Spans, how: str) -> str:
    if not kept:
        return f"dropped: no room in {job.tokens} tokens ({how})"
    text = job.segments[index].text
    if kept[0] == (0, len(text)):
        return f"kept whole ({how})"
    after = job.count(extract(text, kept))
    return f"{after} of {before} tokens kept: the words most likely to matter ({how})"
