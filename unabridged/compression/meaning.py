"""Ranks a job's sentences by words and by an encoder's vectors together, within its deadline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unabridged.compression.blocks import at_best, blocks_of, places
from unabridged.compression.encoder import Encoder
from unabridged.compression.extractive import Ranked, by_words
from unabridged.compression.job import Job
from unabridged.compression.judge import Judge, Scores
from unabridged.compression.names import titles
from unabridged.compression.prompt import Span
from unabridged.compression.rank import order
from unabridged.compression.select import Unit
from unabridged.compression.semantic import Nearness, Passages, asked, rank

TOKENS_PER_MS = 2.2
"""How much an encoder may read for each millisecond of the policy's deadline. Two idle cores read
about 5; it is a constant and not measured, so that all replicas cut alike."""


def by_meaning(job: Job, units: Sequence[Unit], judge: Judge | None = None) -> Ranked:
    """Sentences by BM25, vectors and links together; by words alone without an encoder, without
    a question, and where the encoder does not know the language. What `judge` says of the blocks
    with the best sentences is added.

    What is too long to be read within the deadline is ranked by words as well: reading only the
    documents that BM25 puts first kept no more answers (docs/benchmarks.md).
    """
    question = asked(job.question)
    if not question:
        return by_words(job, units)
    encoder = job.encoder()
    if encoder is None:
        return by_words(job, units)
    texts = [segment.text[slice(*segment.content)] for segment in job.segments]
    if not encoder.reads(question + "\n" + "\n".join(texts)):
        ranks, why = by_words(job, units)
        return ranks, f"{why}; the encoder does not know this language"
    if sum(job.count(text) for text in texts if text) > TOKENS_PER_MS * job.policy.deadline_ms:
        ranks, why = by_words(job, units)
        return ranks, f"{why}; too long for the encoder within the deadline"
    heads = [segment.text[: segment.content[0]] for segment in job.segments]
    near = _nearness(job, encoder, question, units, texts, heads)
    passages = Passages(
        sentences=[job.segments[u.segment].text[u.start : u.end] for u in units],
        documents=np.array([u.segment for u in units], dtype=np.intp),
        heads=heads,
    )
    ranks, why = rank(question, passages, near), "sentences by BM25, meaning and links"
    if judge is None:
        return ranks, why
    near = replace(near, judged=_judged(job, units, ranks, judge))
    return rank(question, passages, near), f"{why}, the best judged by {judge.name}"


def _judged(job: Job, units: Sequence[Unit], ranks: Scores, judge: Judge) -> Scores:
    """What each sentence gains by the judgement of its block, which only the best get: standard
    deviations above the worst of these."""
    blocks = blocks_of(job)
    at = places(blocks, units)
    tried = order(at_best(blocks, at, ranks))[: job.policy.perplexity.candidates]
    found = judge.scores(job, [blocks[i] for i in tried])
    gain = np.zeros(len(blocks))
    gain[tried] = (found - found.min()) / max(found.std(), 1e-9)
    return gain[at]


def _nearness(
    job: Job,
    encoder: Encoder,
    question: str,
    units: Sequence[Unit],
    texts: Sequence[str],
    heads: Sequence[str],
) -> Nearness:
    """Cosines with the question. A document is read behind its title: it says who `he` is."""
    fronts = [f"{title}. " if title else "" for title in titles(heads)]
    inside: list[list[Span]] = [[] for _ in texts]
    for unit in units:
        shift = len(fronts[unit.segment]) - job.segments[unit.segment].content[0]
        inside[unit.segment].append((unit.start + shift, unit.end + shift))
    vector = encoder.question(question)
    read = [front + text for front, text in zip(fronts, texts, strict=True)]
    found = encoder.passages(read, inside, job.checkpoint)
    near = [(each.spans @ vector).astype(float).tolist() for each in found]
    return Nearness(
        documents=np.array([float(each.whole @ vector) for each in found]).round(4),
        sentences=np.array([near[unit.segment].pop(0) for unit in units]).round(4),
    )
