"""Arithmetic of span lists: what of a text is kept, and what is cut.

A span list is a sequence of `(start, end)` character offsets, end excluded. A list is *normal*
when it is sorted and its spans are not empty, do not overlap and do not touch. Every function
here returns normal lists.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from unabridged.compression.prompt import Span

Spans = tuple[Span, ...]


def normalise(spans: Iterable[Span]) -> Spans:
    """Sorted, with empty spans gone and overlapping or touching ones merged."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return tuple(merged)


def valid(spans: Sequence[Span], length: int) -> bool:
    """True if `spans` are sorted, disjoint, not empty and inside a text of `length` characters."""
    last = 0
    for start, end in spans:
        if start < last or end <= start:
            return False
        last = end
    return last <= length


def measure(spans: Iterable[Span]) -> int:
    """Characters covered by disjoint spans."""
    return sum(end - start for start, end in spans)


def extract(text: str, spans: Iterable[Span]) -> str:
    """The kept text."""
    return "".join([text[start:end] for start, end in spans])


def invert(spans: Iterable[Span], length: int) -> Spans:
    """What a text of `length` characters holds outside of `spans`."""
    gaps: list[Span] = []
    last = 0
    for start, end in normalise(spans):
        if start > last:
            gaps.append((last, min(start, length)))
        last = max(last, end)
    gaps.append((last, length))
    return tuple((start, end) for start, end in gaps if start < end)


def unite(first: Iterable[Span], second: Iterable[Span]) -> Spans:
    """What either list covers."""
    return normalise([*first, *second])


def intersect(first: Iterable[Span], second: Iterable[Span]) -> Spans:
    """What both lists cover."""
    a, b = normalise(first), normalise(second)
    common: list[Span] = []
    i = j = 0
    while i < len(a) and j < len(b):
        start, end = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if start < end:
            common.append((start, end))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return tuple(common)


def subtract(first: Iterable[Span], second: Iterable[Span]) -> Spans:
    """What `first` covers and `second` does not."""
    base = normalise(first)
    return intersect(base, invert(second, base[-1][1])) if base else ()


def subset(inner: Iterable[Span], outer: Iterable[Span]) -> bool:
    """True if `outer` covers everything that `inner` covers."""
    return not subtract(inner, outer)


def clip(spans: Iterable[Span], start: int, end: int) -> Spans:
    """What `spans` cover between `start` and `end`."""
    return normalise((max(a, start), min(b, end)) for a, b in spans)


def shift(spans: Iterable[Span], by: int) -> Spans:
    """The same spans, `by` characters further on."""
    return tuple((start + by, end + by) for start, end in spans)


def compose(outer: Sequence[Span], inner: Iterable[Span]) -> Spans:
    """Spans of the text that `outer` extracts, as spans of the text it was extracted from."""
    starts: list[int] = []
    reached = 0
    for start, end in outer:
        starts.append(reached)
        reached += end - start
    found: list[Span] = []
    for start, end in inner:
        i = max(bisect_right(starts, start) - 1, 0)
        while i < len(outer) and starts[i] < end:
            by = outer[i][0] - starts[i]
            found.append((max(start + by, outer[i][0]), min(end + by, outer[i][1])))
            i += 1
    return normalise(found)


def coarsen(units: Sequence[Span], whole: Sequence[Span]) -> list[Span]:
    """Merge neighbouring units so that no border between two of them lies inside a `whole` span.

    `units` tile a stretch of text; `whole` is sorted by start. The result tiles the same stretch.
    """
    if not whole or not units:
        return list(units)
    blocks = disjoint(whole)
    starts = [start for start, _ in blocks]
    merged: list[Span] = []
    for start, end in units:
        i = bisect_right(starts, start) - 1
        inside = i >= 0 and blocks[i][0] < start < blocks[i][1]
        if inside and merged:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def disjoint(spans: Iterable[Span]) -> list[Span]:
    """As `normalise`, but spans that only touch stay apart: between them one may cut."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif start < end:
            merged.append((start, end))
    return merged
