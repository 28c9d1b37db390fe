"""From a text and what a teacher left of it to a label for each word (LLMLingua-2, section 3).

The teacher is asked to delete words only. It does not always obey, so its words are looked for
again in the source, in their order and within a window, and examples in which too much does not
match are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import regex
from rapidfuzz.distance import Levenshtein

from unabridged.compression.kept import Spans, normalise
from unabridged.compression.prompt import Span
from unabridged.compression.sentences import sentences, words

INSTRUCTION = """\
Shorten the text between the lines of dashes by deleting words, so that a reader could still \
answer questions about it.
Rules:
- Only delete words that say little. Keep names, numbers, dates, negations and terms.
- Do not change, add or reorder any word. Use no abbreviations and no symbols of your own.
- Answer with the shortened text and nothing else.
"""
"""What a chat model is asked for: the orders of the paper, in words of our own."""

CHUNK = 1600
"""Characters of a text that a teacher sees at once, to the end of a sentence: some 400 tokens.
Given more, chat models leave out whole passages."""

WINDOW = 150
"""Words of the source in which the next kept word is looked for (s in the paper)."""

NEAR = 0.8
"""How alike two words must be to count as the same: one is often inflected by the teacher."""

_EDGES = regex.compile(r"^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One example: a text, and which stretches of it stay."""

    text: str
    kept: Spans
    """In characters: sorted, disjoint, not empty."""
    variation: float
    """Variation rate (section 3.3): share of the teacher's words that the source does not hold."""
    gap: float
    """Alignment gap (section 3.3): share of the source's words that the teacher has, less the
    share that the alignment labelled."""
    teacher: str = ""
    """Who chose the words."""


def prompt(text: str) -> str:
    """What a chat model is sent for a text."""
    return f"{INSTRUCTION}\n---\n{text.strip()}\n---"


def chunks(text: str, most: int = CHUNK) -> list[str]:
    """A text in pieces of up to `most` characters that end with a sentence; joined they are the
    text."""
    found: list[str] = []
    for start, end in sentences(text):
        if found and len(found[-1]) + end - start <= most:
            found[-1] += text[start:end]
        else:
            found.append(text[start:end])
    return found


def plain(word: str) -> str:
    """A word without case and the marks around it; empty for a mark."""
    bare: str = _EDGES.sub("", word)
    return bare.casefold()


def align(text: str, shortened: str, teacher: str = "", window: int = WINDOW) -> Labelled:
    """Label the words of `text` that a teacher kept.

    Each word of `shortened` is looked for behind the last one found, then before it, within
    `window` words: first the same word, then one that is NEAR. A kept word's marks stay with it.
    """
    source = [(span, plain(text[slice(*span)])) for span in words(text)]
    places = [i for i, (_, word) in enumerate(source) if word]
    own = [source[i][1] for i in places]
    wanted = [w for w in (plain(shortened[slice(*s)]) for s in words(shortened)) if w]
    labels: set[int] = set()
    at = 0
    for word in wanted:
        found = _find(word, own, at, window, labels)
        if found is not None:
            labels.add(found)
            at = found + 1 if found >= at else at
    vocabulary = set(own)
    strange = sum(word not in vocabulary for word in wanted)
    teachers = set(wanted)
    hits = sum(word in teachers for word in own)
    kept = [source[places[i]][0] for i in sorted(labels)]
    return Labelled(
        text=text,
        kept=normalise(kept),
        variation=strange / max(len(wanted), 1),
        gap=(hits - len(labels)) / max(len(own), 1),
        teacher=teacher,
    )


def _find(word: str, own: Sequence[str], at: int, window: int, taken: set[int]) -> int | None:
    """Index of the word's place: the first ahead of `at`, then the nearest behind it."""
    for same in (_equal, _near):
        for i in _around(at, len(own), window):
            if i not in taken and same(word, own[i]):
                return i
    return None


def _around(at: int, length: int, window: int) -> Iterator[int]:
    yield from range(at, min(at + window, length))
    yield from range(min(at, length) - 1, max(at - window // 2, 0) - 1, -1)


def _equal(a: str, b: str) -> bool:
    return a == b


def _near(a: str, b: str) -> bool:
    # The first letter rarely changes; looking at it first spares nearly all comparisons.
    return (
        a[0] == b[0]
        and min(len(a), len(b)) > 3
        and Levenshtein.normalized_similarity(a, b, score_cutoff=NEAR) > 0
    )


def fit(
    examples: Sequence[Labelled], *, variation: float = 0.05, gap: float = 0.10
) -> list[Labelled]:
    """The examples without the worst: that share by variation rate, then that by alignment gap
    (section 3.3: 5 % and 10 %). Of equals all stay, so that a perfect set loses nothing."""
    kept = _without_worst(examples, [e.variation for e in examples], variation)
    return _without_worst(kept, [e.gap for e in kept], gap)


def _without_worst(
    examples: Sequence[Labelled], values: Sequence[float], share: float
) -> list[Labelled]:
    if not examples:
        return []
    most = sorted(values)[max(round(len(values) * (1 - share)) - 1, 0)]
    return [e for e, value in zip(examples, values, strict=True) if value <= most]


def kept_words(example: Labelled, spans: Sequence[Span]) -> list[bool]:
    """For each of some sorted stretches of the text whether a kept one touches it."""
    found, at = [], 0
    for start, end in spans:
        while at < len(example.kept) and example.kept[at][1] <= start:
            at += 1
        found.append(at < len(example.kept) and example.kept[at][0] < end)
    return found
