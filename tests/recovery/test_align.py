"""Kept spans that nobody wrote down are found again from the two texts."""

from __future__ import annotations

import pytest
from cut_prompts import COMPRESSED, ORIGINAL
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.kept import extract, valid
from unabridged.compression.words import WORD
from unabridged.recovery.align import align

WORDS = ORIGINAL.split(" ")


@given(st.sets(st.integers(0, len(WORDS) - 1)))
def test_words_that_were_kept_are_found_in_order(chosen: set[int]) -> None:
    shown = " ".join(WORDS[i] for i in sorted(chosen))
    spans = align(ORIGINAL, shown)
    assert valid(spans, len(ORIGINAL))
    assert WORD.findall(extract(ORIGINAL, spans)) == WORD.findall(shown)


@given(st.text(), st.text())
def test_any_two_texts_give_valid_spans(original: str, compressed: str) -> None:
    assert valid(align(original, compressed), len(original))


@given(st.text(min_size=1))
def test_a_text_that_was_not_cut_is_one_span(text: str) -> None:
    assert align(text, text) == ((0, len(text)),)


@pytest.mark.parametrize("part", ["Röntg", "Gh", "rays 1895", "뢴트", "威廉·伦"])
def test_a_piece_of_a_word_is_found_inside_it(part: str) -> None:
    assert part in extract(ORIGINAL, align(ORIGINAL, COMPRESSED))


def test_a_word_that_is_not_in_the_original_is_left_out() -> None:
    assert extract("one two three", align("one two three", "one zwei three")).split() == [
        "one",
        "three",
    ]
