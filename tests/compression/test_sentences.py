"""Sentences and words tile every text, in every language, between grapheme clusters."""

from __future__ import annotations

import time

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.sentences import LONGEST, clusters, sentences, words

PIECES = st.sampled_from(
    [
        "a",
        "Z",
        " ",
        "\n",
        "\r\n",
        "\r",
        ".",
        "!",
        "。",
        "，",
        "؟",
        "漢",
        "字",
        "か",
        "ネ",
        "한국",
        "어",
        "ก",
        "e\u0301",
        "\u0301",
        "👨‍👩‍👧",
        "🇰🇷",
        "🇰",
        "\u200d",
        "\ufe0f",
        "1",
        "2.5",
        "'",
        '"',
        "-",
        "\t",
        "\u3000",
        "<s>",
        "<|endoftext|>",
        "नि",
        "ﷺ",
        "\u1100\u1161",
        "``",
        "z\u200c",
    ]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=60).map("".join))


@given(TEXTS)
def test_sentences_and_words_tile_the_text_and_cut_no_cluster(text: str):
    borders = {m.start() for m in regex.finditer(r"\X", text)} | {len(text)}
    for spans in (sentences(text), words(text)):
        assert "".join(text[a:b] for a, b in spans) == text
        assert all(a < b for a, b in spans)
        assert all(a in borders and b in borders for a, b in spans)


@given(TEXTS)
def test_clusters_are_those_of_unicode(text: str):
    assert clusters(text) == [m.span() for m in regex.finditer(r"\X", text) if len(m[0]) > 1]


@given(st.text(max_size=80), st.integers(0, 20), st.integers(0, 60))
def test_words_of_a_stretch_tile_the_stretch(text: str, start: int, length: int):
    start, end = min(start, len(text)), min(start + length, len(text))
    assert "".join(text[a:b] for a, b in words(text, start, end)) == text[start:end]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He came. She left!  Why?", ["He came.", "She left!", "Why?"]),
        (
            "Dr. Smith met J. F. Kennedy in the U.S. Senate. Then he left.",
            ["Dr. Smith met J. F. Kennedy in the U.S. Senate.", "Then he left."],
        ),
        ("It costs 3.5 euros. See fig. 2 there.", ["It costs 3.5 euros.", "See fig. 2 there."]),
        (
            "他出生于1990年。他是谁？「不知道。」好的！",
            ["他出生于1990年。", "他是谁？", "「不知道。」", "好的！"],
        ),
        ("彼は学生です。名前は太郎。", ["彼は学生です。", "名前は太郎。"]),
        (
            "안녕하세요. 저는 학생입니다. 반갑습니다!",
            ["안녕하세요.", "저는 학생입니다.", "반갑습니다!"],
        ),
        ("مرحبا. كيف حالك؟ أنا بخير.", ["مرحبا.", "كيف حالك؟", "أنا بخير."]),
        ("- one\n- two\n\n| a | b |\n| 1 | 2 |", ["- one", "- two", "| a | b |", "| 1 | 2 |"]),
        (
            "A line that was wrapped by an editor at its column\nand goes on here. End.",
            ["A line that was wrapped by an editor at its column\nand goes on here.", "End."],
        ),
    ],
)
def test_sentences_end_where_a_reader_says(text: str, expected: list[str]):
    assert [text[a:b].strip() for a, b in sentences(text)] == expected


def test_a_sentence_without_end_is_divided():
    text = "and so on and on, " * 200
    assert max(b - a for a, b in sentences(text)) <= LONGEST


@pytest.mark.parametrize(
    "unit",
    ["a", "한", "漢", " ", "\n", ". ", '"', "e\u0301", "\u0301", ".", "a\n", "。", "!?", " \n"],
)
def test_long_texts_without_structure_take_linear_time(unit: str):
    text = unit * (200_000 // len(unit))
    start = time.perf_counter()
    sentences(text)
    words(text)
    assert time.perf_counter() - start < 4
