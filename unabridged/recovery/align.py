"""Finds which characters of an original a compressed text kept, when nobody wrote it down."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

import numpy as np

from unabridged.compression.kept import Spans, normalise
from unabridged.compression.prompt import Span
from unabridged.compression.words import WORD


def align(original: str, compressed: str) -> Spans:
    """The spans of `original` that read as `compressed`, as far as they can be found.

    Of all ways to find the words of `compressed` in `original` in order, one that finds the
    most, and among those one with the fewest cuts. A word that is not in the original is looked
    for inside the words between its neighbours. What cannot be found is left out.
    """
    if original == compressed:
        return ((0, len(original)),) if original else ()
    source = [found.span() for found in WORD.finditer(original)]
    target = [found.span() for found in WORD.finditer(compressed)]
    matched = _chain([original[a:b] for a, b in source], [compressed[a:b] for a, b in target])
    spans: list[Span] = []
    last = -1
    for k, (a, b) in enumerate(target):
        at = matched[k]
        if at < 0:
            high = next(
                (matched[j] for j in range(k + 1, len(target)) if matched[j] >= 0), len(source)
            )
            piece = _inside(original, source[last + 1 : high], compressed[a:b])
            if piece is None:
                continue
            spans.extend(piece[1])
            last += 1 + piece[0]
        else:
            spans.append(source[at])
            last = at
    return _with_separators(original, compressed, spans, target)


def _chain(source: list[str], target: list[str]) -> list[int]:
    """For each target word the index of its source word, -1 if it has none.

    Words that occur once on both sides settle where they belong, and divide the rest into
    stretches in which other words occur once (patience sorting); what is left then is small.
    """
    matched = [-1] * len(target)
    work = [(0, len(source), 0, len(target))]
    while work:
        low, high, first, last = work.pop()
        if low == high or first == last:
            continue
        anchors = _anchors(source, target, low, high, first, last)
        if not anchors:
            for k, at in enumerate(_best_chain(source[low:high], target[first:last])):
                if at >= 0:
                    matched[first + k] = low + at
            continue
        for at, k in anchors:
            matched[k] = at
        borders = [(low - 1, first - 1), *anchors, (high, last)]
        for (a, k), (b, m) in pairwise(borders):
            if m - k > 1:
                work.append((a + 1, b, k + 1, m))
    return matched


def _anchors(
    source: list[str], target: list[str], low: int, high: int, first: int, last: int
) -> list[tuple[int, int]]:
    """The longest chain of words that occur once in both stretches."""
    there: dict[str, int] = {}
    for at in range(low, high):
        there[source[at]] = -1 if source[at] in there else at
    here: dict[str, int] = {}
    for k in range(first, last):
        here[target[k]] = -1 if target[k] in here else k
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


def _best_chain(source: list[str], target: list[str]) -> list[int]:
    """For each target word the index of its source word, -1 if it has none.

    Longest common subsequence with a bonus for neighbours, over all occurrences of each word.
    """
    places: dict[str, list[int]] = {}
    for i, word in enumerate(source):
        places.setdefault(word, []).append(i)
    # best[i]: score * 2**32 + state of the best chain that ends at or before source word i - 1.
    best = np.zeros(len(source) + 1, dtype=np.int64)
    exact = np.zeros(len(source) + 1, dtype=np.int64)
    state_word, state_place, state_back = [-1], [-1], [0]
    for k, word in enumerate(target):
        spots = places.get(word)
        if spots is None:
            continue
        at = np.asarray(spots)
        base, near = best[at], exact[at]
        better = (near >> 32) + 1 > (base >> 32)
        score = np.where(better, (near >> 32) + 3, (base >> 32) + 2)
        back = np.where(better, near, base) & 0xFFFFFFFF
        first = len(state_word)
        ids = np.arange(first, first + len(spots))
        state_word.extend([k] * len(spots))
        state_place.extend(spots)
        state_back.extend(back.tolist())
        packed = (score << 32) | ids
        exact[:] = 0
        exact[at + 1] = packed
        np.maximum(best, np.maximum.accumulate(exact), out=best)
    matched = [-1] * len(target)
    state = int(best[-1] & 0xFFFFFFFF)
    while state:
        matched[state_word[state]] = state_place[state]
        state = state_back[state]
    return matched


def _inside(original: str, words: list[Span], part: str) -> tuple[int, list[Span]] | None:
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


def _with_separators(
    original: str, compressed: str, spans: list[Span], target: list[Span]
) -> Spans:
    """The spans of the words, with what stands between two of them where both texts agree."""
    joined = list(normalise(spans))
    out: list[Span] = list(joined)
    for (_, a), (b, _) in pairwise(joined):
        between = original[a:b]
        if not WORD.search(between):
            out.append((a, b))
        else:
            step = 0
            while a + step < b and not WORD.match(original, a + step):
                step += 1
            back = 0
            while not step and b - back > a and not WORD.match(original, b - back - 1):
                back += 1
            out.extend(((a, a + step), (b - back, b)))
    if joined and joined[0][0] and not WORD.search(original[: joined[0][0]]):
        out.append((0, joined[0][0]))
    if joined and not WORD.search(original[joined[-1][1] :]):
        out.append((joined[-1][1], len(original)))
    return normalise(out)
