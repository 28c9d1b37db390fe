"""By which number the caller knows a document that the model counted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unabridged.compression.prompt import Compressed, Segment, Span

_NUMBERED = re.compile(r"\W*(?:\w+\W+){0,2}\d")
"""A head that begins with a number or has one right behind its label: `[3]`, `Document 3:`,
`<document index="3">`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A number of an answer."""

    number: str
    """What the caller calls it."""
    source: tuple[int, Span]
    """Index of the document among the segments of the request, and the whole of its text."""


def by_place(compressed: Compressed) -> Mapping[str, Citation]:
    """The caller's number for each number of an answer that counts the documents as they were
    sent; without those that are the same.

    Empty where nobody can tell which documents are counted: if one has a number of its own, by
    which the model cites it wherever it stands, or if they stand in several strings.
    """
    segments = compressed.prompt.segments
    came = [i for i, segment in enumerate(segments) if _counts(segment)]
    if len({segments[i].where.path for i in came}) != 1 or _numbered(segments, came):
        return {}
    order = compressed.order or range(len(segments))
    sent = [i for i in order if _counts(segments[i]) and compressed.kept[i]]
    numbers = {i: str(n) for n, i in enumerate(came, 1)}
    return {
        str(n): Citation(number=numbers[i], source=(i, (0, len(segments[i].text))))
        for n, i in enumerate(sent, 1)
        if numbers[i] != str(n)
    }


def _counts(segment: Segment) -> bool:
    """True for a document, and for what is no paragraph of a longer one."""
    return segment.kind == "document" and not segment.chained and bool(segment.text.strip())


def _numbered(segments: Sequence[Segment], came: Sequence[int]) -> bool:
    return any(_NUMBERED.match(segments[i].text[: segments[i].head]) for i in came)
