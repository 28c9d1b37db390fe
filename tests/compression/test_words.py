"""Where words begin and end, with and without spaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.words import (
    WORD,
    inside,
    is_josa,
    pattern,
    script,
    spans_of_words,
    without_josa,
    words_of,
)


@pytest.mark.parametrize(
    ("char", "kind"),
    [("a", "a"), ("7", "a"), ("я", "a"), ("ع", "a"), ("뢴", "h"), ("レ", "k"), ("威", "c"),
     ("は", "s"), (" ", ""), (".", ""), ("", "")],
)  # fmt: skip
def test_a_character_belongs_to_one_script(char: str, kind: str) -> None:
    assert script(char) == kind


@pytest.mark.parametrize(
    ("before", "after", "cut"),
    [("a", "b", True), ("a", " ", False), ("뢴", "트", True), ("レ", "ン", True),
     ("伦", "琴", False), ("ン", "は", False)],
)  # fmt: skip
def test_a_cut_between_two_characters_divides_a_word_or_not(
    before: str, after: str, cut: bool
) -> None:
    assert inside(before, after) is cut


@pytest.mark.parametrize("tail", ["", "이", "에서는", "으로"])
def test_korean_particles_are_known(tail: str) -> None:
    assert is_josa(tail)
    assert without_josa("뢴트겐" + tail, 2) == "뢴트겐"


def test_a_syllable_that_is_no_particle_stays() -> None:
    assert not is_josa("겐")
    assert without_josa("뢴트겐", 2) == "뢴트겐"


@given(st.text())
def test_words_never_overlap_and_hold_no_space(text: str) -> None:
    last = 0
    for found in WORD.finditer(text):
        assert found.start() >= last
        assert not any(char.isspace() for char in found.group())
        last = found.end()


def test_scripts_without_spaces_have_words_too() -> None:
    assert words_of("威廉·伦琴") == ["威", "廉", "伦", "琴"]
    assert words_of("レントゲンは") == ["レントゲン", "は"]


def test_the_fast_pattern_finds_the_same_words() -> None:
    for code in range(0x3000):
        text = f"a{chr(code)}b"
        assert pattern(text).findall(text) == WORD.findall(text), hex(code)
    assert pattern("Röntgen") is not WORD


@given(st.text(st.sampled_from("ab \u00e9\u0301\n\r\u2028\u200d\uac00\u4e00\u30a2\U0001f600")))
def test_words_are_the_same_read_by_lines_or_at_once(text: str) -> None:
    spans = [found.span() for found in WORD.finditer(text)]
    assert spans_of_words(text) == spans
    assert words_of(text) == [text[a:b] for a, b in spans]
