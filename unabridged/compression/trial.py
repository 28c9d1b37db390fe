"""What a classifier keeps of texts with known answers, at what budget and how fast."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from unabridged.compression.classifier import Classifier
from unabridged.compression.job import Job
from unabridged.compression.kept import extract
from unabridged.compression.llmlingua2 import llmlingua2
from unabridged.compression.prompt import Segment, Where
from unabridged.compression.teachers import answers_of
from unabridged.compression.tokens import counter
from unabridged.policies.policy import Policy, Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One classifier at one rate."""

    rate: float
    retention: float | None
    """Share of the rows of which an answer survives; None: no row has answers."""
    asked: int
    got: int
    """Tokens of all rows."""
    tokens_per_second: float
    """Of the texts, by the classifier's own pass alone."""


def trial(classifier: Classifier, rows: Sequence[Mapping[str, object]], rate: float) -> Trial:
    """Cut the text of each row to `rate`, its question unseen."""
    count = counter("gpt-4o")
    kept, asked, got, seconds, read = [], 0, 0, 0.0, 0
    for row in rows:
        text = str(row["text"])
        start = time.perf_counter()
        classifier.judge([text])
        seconds += time.perf_counter() - start
        read += count(text)
        job = Job(
            segments=(Segment(kind="document", text=text, where=Where(path=(), start=0)),),
            question="",
            tokens=int(rate * count(text)),
            count=count,
            policy=Policy(compressor="llmlingua2", words=Words(by_question=None)),
            classifier=lambda: classifier,
        )
        short = extract(text, llmlingua2(job).kept[0])
        asked, got = asked + job.tokens, got + count(short)
        said = answers_of(row)
        if said:
            kept.append(any(answer.casefold() in short.casefold() for answer in said))
    return Trial(
        rate=rate,
        retention=round(mean(kept), 4) if kept else None,
        asked=asked,
        got=got,
        tokens_per_second=round(read / max(seconds, 1e-9), 1),
    )
