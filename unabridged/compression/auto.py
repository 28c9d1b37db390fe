"""The cheapest compressor that meets the budget: first without loss, then by sentences."""

from __future__ import annotations

from dataclasses import replace

from unabridged.compression.extractive import extractive
from unabridged.compression.job import Cut, Job
from unabridged.compression.kept import compose, extract
from unabridged.compression.lossless import lossless
from unabridged.compression.meaning import by_meaning


def auto(job: Job) -> Cut:
    """Lossless clean-up, and if that does not meet the budget the best sentences of what is left.

    Sentences are ranked by BM25 against the question and by the encoder's vectors together where
    there is an encoder for them, and else by BM25 alone; if nothing is asked, the first of each
    document win: docs/benchmarks.md says what each rung keeps and costs.
    """
    clean = lossless(job)
    texts = [extract(s.text, kept) for s, kept in zip(job.segments, clean.kept, strict=True)]
    if sum(job.count(text) for text in texts if text) <= job.tokens:
        return Cut(kept=clean.kept, why=tuple(f"auto, lossless: {why}" for why in clean.why))
    smaller = replace(
        job,
        segments=tuple(
            replace(s, text=text) if text else replace(s, text="", head=0, tail=0)
            for s, text in zip(job.segments, texts, strict=True)
        ),
    )
    cut = extractive(smaller, by_meaning)
    return Cut(
        kept=tuple(compose(a, b) for a, b in zip(clean.kept, cut.kept, strict=True)),
        why=tuple(
            f"auto, extractive: {why}" if text else f"auto, lossless: {before}"
            for text, why, before in zip(texts, cut.why, clean.why, strict=True)
        ),
    )
