"""Ranks a job's sentences by words and by an encoder's vectors together, within its deadline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unabridged.compression.encoder import Encoder
from unabridged.compression.extractive import Ranked, by_words
from unabridged.compression.job import Job
from unabridged.compression.names import titles
from unabridged.compression.prompt import Span
from unabridged.compression.rank import terms, weigh
from unabridged.compression.select import Unit
from unabridged.compression.semantic import Nearness, Passages, asked, rank

TOKENS_PER_MS = 3
"""How much an encoder may read for each millisecond of the policy's deadline. Two cores read
about 4.5; it is a constant and not measured, so that all replicas cut alike."""


def by_meaning(job: Job, units: Sequence[Unit]) -> Ranked:
    """Sentences by BM25, vectors and links together; by words alone without an encoder, without
    a question, and where the encoder does not know the language.

    Of what is too long for the deadline the encoder reads the documents that BM25 ranks first;
    the others count as far from the question as the farthest that was read.
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
    heads = [segment.text[: segment.content[0]] for segment in job.segments]
    chosen = _readable(job, question, texts)
    if not chosen:
        ranks, why = by_words(job, units)
        return ranks, f"{why}; too long for the encoder within the deadline"
    near = _nearness(job, encoder, question, units, texts, heads, chosen)
    passages = Passages(
        sentences=[job.segments[u.segment].text[u.start : u.end] for u in units],
        documents=np.array([u.segment for u in units], dtype=np.intp),
        heads=heads,
    )
    part = "" if len(chosen) == sum(map(bool, texts)) else f" ({len(chosen)} documents of them)"
    return rank(question, passages, near), f"sentences by BM25, meaning{part} and links"


def _readable(job: Job, question: str, texts: Sequence[str]) -> list[int]:
    """Indexes of the texts that the deadline lets an encoder read, in order."""
    room = TOKENS_PER_MS * job.policy.deadline_ms
    filled = [i for i, text in enumerate(texts) if text]
    sizes = {i: job.count(texts[i]) for i in filled}
    if sum(sizes.values()) <= room:
        return filled
    scores = weigh(terms(question), [Counter(terms(texts[i])) for i in filled])
    chosen: list[int] = []
    for _, i in sorted(zip(-scores, filled, strict=True)):
        if sizes[i] <= room:
            chosen.append(i)
            room -= sizes[i]
    return sorted(chosen)


def _nearness(
    job: Job,
    encoder: Encoder,
    question: str,
    units: Sequence[Unit],
    texts: Sequence[str],
    heads: Sequence[str],
    chosen: Sequence[int],
) -> Nearness:
    """Cosines with the question. A document is read behind its title: it says who `he` is."""
    called = titles(heads)
    inside: dict[int, list[Span]] = {i: [] for i in chosen}
    fronts = {i: f"{called[i]}. " if called[i] else "" for i in chosen}
    for unit in units:
        if unit.segment in inside:
            shift = len(fronts[unit.segment]) - job.segments[unit.segment].content[0]
            inside[unit.segment].append((unit.start + shift, unit.end + shift))
    vector = encoder.question(question)
    found = encoder.passages(
        [fronts[i] + texts[i] for i in chosen], [inside[i] for i in chosen], job.checkpoint
    )
    documents = np.full(len(texts), np.nan)
    sentences: dict[int, list[float]] = {}
    for i, encoded in zip(chosen, found, strict=True):
        documents[i] = encoded.whole @ vector
        sentences[i] = (encoded.spans @ vector).astype(float).tolist()
    each = [sentences[u.segment].pop(0) if u.segment in sentences else np.nan for u in units]
    return Nearness(documents=_filled(documents), sentences=_filled(np.array(each)))


def _filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unknown ones as low as the lowest."""
    known = values[~np.isnan(values)]
    low = float(known.min()) if known.size else 0.0
    filled: NDArray[np.float64] = np.where(np.isnan(values), low, values)
    return filled.round(4)
