"""Teachers that need no chat model: they say which words of a text stay."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unabridged.compression.distil import Labelled
from unabridged.compression.kept import Spans, normalise
from unabridged.compression.rank import Corpus, terms
from unabridged.compression.scorer import Scorer
from unabridged.compression.sentences import words
from unabridged.compression.surprise import pooled

Row = Mapping[str, object]
"""A line of a data set: `text`, and with it what the teacher needs."""

HALF = 0.5
"""Share of the words that the surprisal teacher keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One example for a classifier that reads the question."""

    text: str
    kept: Spans
    """What answers it: sorted, disjoint, not empty."""
    question: str
    answers: bool
    """True if the text answers the question."""
    teacher: str = "questions"


def surprisal(rows: Sequence[Row], scorer: Scorer) -> list[Labelled]:
    """The words that a causal model foresees least, given what stands before them: half of each
    text."""
    texts = [str(row["text"]) for row in rows]
    found = []
    for text, tokens in zip(texts, scorer.score(texts), strict=True):
        units = words(text)
        values = pooled(tokens, len(text), [[unit] for unit in units])
        best = np.argsort(-values, kind="stable")[: max(round(HALF * len(units)), 1)]
        kept = normalise(units[i] for i in sorted(best.tolist()))
        found.append(
            Labelled(text=text, kept=kept, variation=0.0, gap=0.0, teacher=scorer.revision)
        )
    return found


def answers(rows: Sequence[Row]) -> list[Labelled]:
    """The words that answers need: wherever an answer of a row's `answers` stands in its text.

    Rows whose answers stand nowhere in their text give no example: they would teach that nothing
    matters.
    """
    found = []
    for row in rows:
        text = str(row["text"])
        spans = held(row)
        if spans:
            found.append(Labelled(text=text, kept=spans, variation=0.0, gap=0.0, teacher="answers"))
    return found


def questions(rows: Sequence[Row], *, seed: int = 7) -> list[Asked]:
    """Each question with the passage that answers it, and with one that does not although it
    shares its words: the best of the other rows' by BM25 that holds no answer."""
    texts = [str(row["text"]) for row in rows]
    corpus = Corpus([Counter(terms(text)) for text in texts])
    chance = random.Random(seed)  # noqa: S311
    found: list[Asked] = []
    for i, row in enumerate(rows):
        kept = held(row)
        question = str(row.get("question", ""))
        if not kept or not question:
            continue
        found.append(Asked(text=texts[i], kept=kept, question=question, answers=True))
        near = np.argsort(-corpus.scores(terms(question)), kind="stable")[:12].tolist()
        others = [j for j in near if j != i and not held({**row, "text": texts[j]})]
        if others:
            other = others[0] if chance.random() < 0.7 else chance.choice(others)
            found.append(Asked(text=texts[other], kept=(), question=question, answers=False))
    return found


def held(row: Row) -> Spans:
    """Where the answers of a row stand in its text."""
    text = str(row["text"])
    return normalise(span for answer in answers_of(row) for span in places(text, answer))


def answers_of(row: Row) -> list[str]:
    """The answers that a row names."""
    said = row.get("answers")
    return [a for a in said if isinstance(a, str) and a.strip()] if isinstance(said, list) else []


def places(text: str, answer: str) -> list[tuple[int, int]]:
    """Where an answer stands in a text as words of its own, letter case aside; failing that,
    anywhere."""
    pattern = re.escape(answer.strip())
    whole = [m.span() for m in re.finditer(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE)]
    return whole or [m.span() for m in re.finditer(pattern, text, re.IGNORECASE)]
