"""The cheapest way that meets the budget: without loss, by sentences, or by words."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from unabridged.compression.classifier import NoClassifier
from unabridged.compression.extractive import extractive
from unabridged.compression.job import Cut, Job
from unabridged.compression.judge import judge_of
from unabridged.compression.kept import compose, extract
from unabridged.compression.llmlingua2 import llmlingua2
from unabridged.compression.lossless import lossless
from unabridged.compression.meaning import TOKENS_PER_MS, by_meaning


def auto(job: Job) -> Cut:
    """Lossless clean-up, and if that does not meet the budget the best sentences of what is left.

    Sentences are ranked by BM25 against the question and by the encoder's vectors together where
    there is an encoder for them, and else by BM25 alone; a model that reads question and document
    together judges the best ones where the policy has one that is strong enough. If nothing is
    asked of some documents, a classifier chooses their words; without one, the first sentences of
    each win. docs/benchmarks.md and docs/training.md say what each rung keeps and costs.
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
    cut, how = _by_classifier(smaller), "llmlingua2"
    if cut is None:
        cut, how = extractive(smaller, partial(by_meaning, judge=judge_of(smaller))), "extractive"
    return Cut(
        kept=tuple(compose(a, b) for a, b in zip(clean.kept, cut.kept, strict=True)),
        why=tuple(
            f"auto, {how}: {why}" if text else f"auto, lossless: {before}"
            for text, why, before in zip(texts, cut.why, clean.why, strict=True)
        ),
    )


def _by_classifier(job: Job) -> Cut | None:
    """The likeliest words of documents of which nothing is asked; None: something is, they are too
    long for the deadline, or nothing judges words in their language."""
    if job.question.strip() or any(segment.kind != "document" for segment in job.segments):
        return None
    classifier = job.classifier()
    if classifier is None:
        return None
    if sum(job.count(s.text) for s in job.segments) > TOKENS_PER_MS * job.policy.deadline_ms:
        return None
    try:
        return llmlingua2(job)
    except NoClassifier:
        return None
