"""Regions between marks, and the worked examples among them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.marks import outline
from unabridged.compression.regions import lead_over, regions, units


@given(st.lists(st.sampled_from(["Q: ", "A: ", "Context: ", "x\n", "\n\n", "Example 1:\n"])))
def test_regions_tile_the_text(bits: list[str]) -> None:
    text = "".join(bits)
    found = regions(outline(text, 0, len(text)), 0, len(text))
    assert "".join(text[r.start : r.end] for r in found) == text
    assert all(a.end == b.start for a, b in pairwise(found))
    shown = units(text, found, sure=True)
    assert all(a.last <= b.first for a, b in pairwise(shown))


def test_one_question_and_its_cue_are_no_example() -> None:
    text = "Q: 1+1?\nA: Let's think step by step."
    assert units(text, regions(outline(text, 0, len(text)), 0, len(text)), sure=False) == []


def test_the_words_that_lead_to_the_real_question_are_found() -> None:
    text = "Q: a?\nA: b\n\nNow answer the following:\n"
    assert text[lead_over(text, 0, len(text)) :].startswith("Now")
    plain = "Q: a?\nA: b\n\nSo it is b."
    assert lead_over(plain, 0, len(plain)) == len(plain)
