"""The arithmetic of kept spans agrees with the arithmetic of sets of characters."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression import kept
from unabridged.compression.prompt import Span

LENGTH = 30
span = st.tuples(st.integers(0, LENGTH), st.integers(0, LENGTH)).map(lambda p: (min(p), max(p)))
spans = st.lists(span, max_size=6)


def covered(found: list[Span] | tuple[Span, ...]) -> set[int]:
    return {i for start, end in found for i in range(start, end)}


@given(spans, spans)
def test_every_operation_is_the_one_on_sets_and_gives_valid_spans(a: list[Span], b: list[Span]):
    everything = set(range(LENGTH))
    cases = [
        (kept.normalise(a), covered(a)),
        (kept.invert(a, LENGTH), everything - covered(a)),
        (kept.unite(a, b), covered(a) | covered(b)),
        (kept.intersect(a, b), covered(a) & covered(b)),
        (kept.subtract(a, b), covered(a) - covered(b)),
        (kept.clip(a, 5, 20), covered(a) & set(range(5, 20))),
    ]
    for found, expected in cases:
        assert covered(found) == expected
        assert kept.valid(found, LENGTH)
        assert kept.measure(found) == len(expected)
    assert kept.subset(a, b) == (covered(a) <= covered(b))


@given(spans, st.data())
def test_spans_of_an_extract_lead_back_to_the_text(outer: list[Span], data: st.DataObject):
    text = "".join(chr(0x4E00 + i) for i in range(LENGTH))
    base = kept.normalise(outer)
    extract = kept.extract(text, base)
    at = st.integers(0, len(extract))
    inner = data.draw(st.lists(st.tuples(at, at).map(lambda p: (min(p), max(p))), max_size=4))
    wanted = kept.extract(extract, kept.normalise(inner))
    assert kept.extract(text, kept.compose(base, inner)) == wanted


@given(spans, st.sets(st.integers(1, LENGTH - 1)))
def test_coarse_units_tile_and_leave_whole_spans_whole(whole: list[Span], cuts: set[int]):
    borders = [0, *sorted(cuts), LENGTH]
    units = list(pairwise(borders))
    coarse = kept.coarsen(units, whole)
    assert covered(coarse) == set(range(LENGTH))
    assert all(a[1] == b[0] for a, b in pairwise(coarse))
    inner = {start for start, _ in coarse[1:]}
    assert not any(start < border < end for start, end in whole for border in inner)


def test_unsorted_overlapping_empty_and_outside_spans_are_not_valid():
    for bad in ([(3, 5), (0, 2)], [(0, 3), (2, 4)], [(2, 2)], [(0, 9)], [(-1, 2)]):
        assert not kept.valid(bad, 8)
    assert kept.valid([(0, 3), (3, 8)], 8)
