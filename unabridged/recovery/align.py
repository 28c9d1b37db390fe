"""Finds which characters of an original a compressed text kept, when nobody wrote it down."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from rapidfuzz.distance import LCSseq

from unabridged.compression.kept import Spans, normalise
from unabridged.compression.prompt import Span
from unabridged.compression.words import spans_of_words, words_of

_MOST_PAIRS = 1 << 28
"""Words of the original times words of the compressed text that are compared at once, in bits."""


def align(original: str, compressed: str) -> Spans:
    """The spans of `original` that read as `compressed`, as far as they can be found.

    Of all ways to find the words of `compressed` in `original` in order, one that finds the
    most, with neighbours beside each other where that can be. A word that is not in the original
    is looked for inside the words between its neighbours. What cannot be found is left out.
    """
    if original == compressed:
        return ((0, len(original)),) if original else ()
    source, target = spans_of_words(original), words_of(compressed)
    matched = _matched([original[a:b] for a, b in source], target)
    spans: list[Span] = []
    last = -1
    for k, at in enumerate(matched):
        if at >= 0:
            spans.append(source[at])
            last = at
            continue
        high = next((found for found in matched[k + 1 :] if found >= 0), len(source))
        piece = _inside(original, source[last + 1 : high], target[k])
        if piece is not None:
            spans.extend(piece[1])
            last += 1 + piece[0]
    return _with_separators(len(original), source, normalise(spans))


def _matched(source: list[str], target: list[str]) -> list[int]:
    """For each target word the index of its source word, -1 if it has none."""
    matched = [-1] * len(target)
    stretches = [(0, len(source), 0, len(target))]
    if len(source) * len(target) > _MOST_PAIRS:
        anchors = _anchors(source, target)
        for at, k in anchors:
            matched[k] = at
        borders = [(-1, -1), *anchors, (len(source), len(target))]
        stretches = [(a + 1, b, k + 1, m) for (a, k), (b, m) in pairwise(borders)]
    for low, high, first, last in stretches:
        if (high - low) * (last - first) > _MOST_PAIRS:
            continue
        for block in LCSseq.opcodes(source[low:high], target[first:last]):
            if block.tag == "equal":
                begin = low + block.src_start
                run = range(begin, begin + block.src_end - block.src_start)
                matched[first + block.dest_start : first + block.dest_end] = run
    _gather(source, target, matched)
    return matched


def _gather(source: list[str], target: list[str], matched: list[int]) -> None:
    """Move matches next to those of their neighbours where the same word stands there."""
    for k in range(1, len(target)):
        beside = matched[k - 1] + 1
        if 0 < beside < matched[k] and source[beside] == target[k]:
            matched[k] = beside
    for k in range(len(target) - 2, -1, -1):
        beside = matched[k + 1] - 1
        if -1 < matched[k] < beside and source[beside] == target[k]:
            matched[k] = beside


def _anchors(source: list[str], target: list[str]) -> list[tuple[int, int]]:
    """The longest chain of words that occur once on both sides (patience sorting)."""
    there: dict[str, int] = {}
    for at, word in enumerate(source):
        there[word] = -1 if word in there else at
    here: dict[str, int] = {}
    for k, word in enumerate(target):
        here[word] = -1 if word in here else k
    pairs = [(there[w], k) for w, k in here.items() if k >= 0 and there.get(w, -1) >= 0]
    tops: list[int] = []
    ends: list[int] = []
    back: list[int] = []
    for n, (at, _) in enumerate(pairs):
        pile = bisect_left(tops, at)
        back.append(ends[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(at)
            ends.append(n)
        else:
            tops[pile], ends[pile] = at, n
    chain: list[tuple[int, int]] = []
    n = ends[-1] if ends else -1
    while n >= 0:
        chain.append(pairs[n])
        n = back[n]
    return chain[::-1]


def _inside(original: str, words: Sequence[Span], part: str) -> tuple[int, list[Span]] | None:
    """The first word that `part` can have been cut out of, and the pieces it is made of."""
    for n, (start, end) in enumerate(words[:400]):
        at = original.find(part, start, end)
        if at >= 0:
            return n, [(at, at + len(part))]
    for n, (start, end) in enumerate(words[:400]):
        if original[start] != part[0]:
            continue
        at, pieces = start, []
        for char in part:
            at = original.find(char, at, end)
            if at < 0:
                break
            pieces.append((at, at + 1))
            at += 1
        else:
            return n, pieces
    return None


def _with_separators(length: int, words: list[Span], kept: Spans) -> Spans:
    """The kept words, with what stands between two of them: all of it where no word was dropped
    there, and else what stands behind the first one."""
    starts, ends = [start for start, _ in words], [end for _, end in words]
    out = list(kept)
    for (_, a), (b, _) in pairwise(kept):
        behind, ahead = bisect_left(ends, a), bisect_right(starts, b) - 1
        if ends[behind] == a:
            out.append((a, min(b, starts[behind + 1])))
        elif starts[ahead] == b:
            out.append((ends[ahead - 1], b))
    if kept and kept[0][0] == starts[0]:
        out.append((0, starts[0]))
    if kept and kept[-1][1] == ends[-1]:
        out.append((ends[-1], length))
    return normalise(out)
