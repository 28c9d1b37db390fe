"""From a teacher's words to labels of the source's words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.distil import (
    INSTRUCTION,
    Labelled,
    align,
    chunks,
    fit,
    kept_words,
    prompt,
)
from unabridged.compression.kept import extract
from unabridged.compression.sentences import words

SOURCE = (
    "The harbour master wrote the tides of every month into a book. The book was green, and "
    "the tides were late."
)


def test_words_that_were_only_deleted_are_found_where_they_stand() -> None:
    found = align(SOURCE, "harbour master wrote tides into book. green, tides late.")
    assert extract(SOURCE, found.kept).split() == [
        "harbour", "master", "wrote", "tides", "into", "book", "green", "tides", "late",
    ]  # fmt: skip
    assert found.variation == 0.0


def test_a_word_that_comes_twice_is_found_in_its_turn() -> None:
    found = align("red fox, blue fox, green fox", "blue fox")
    assert extract(found.text, found.kept) == " blue fox"


def test_an_inflected_word_counts_as_its_source() -> None:
    found = align("The council approved several payments.", "council approves payment")
    assert extract(found.text, found.kept) == " council approved payments"
    assert found.variation > 0.5  # it is there, but not as it stands there


def test_words_of_the_teachers_own_are_variation() -> None:
    found = align(SOURCE, "The captain noted tides")
    assert found.variation == 0.5


def test_a_word_the_teacher_moved_is_looked_for_before_the_place_too() -> None:
    found = align("alpha beta gamma delta", "gamma alpha")
    assert extract(found.text, found.kept) == "alpha gamma"


def test_the_window_bounds_the_search() -> None:
    text = "gold " + "sand " * 50 + "gold"
    assert extract(text, align(text, "sand gold", window=20).kept) == "gold sand"


def test_korean_words_are_matched_whole() -> None:
    text = "등대지기는 매일 저녁 등불을 켰다."
    assert extract(text, align(text, "등대지기는 등불을 켰다").kept) == "등대지기는 등불을 켰다"


@given(st.lists(st.booleans(), min_size=20, max_size=20))
def test_what_only_deletes_aligns_to_itself(keep: list[bool]) -> None:
    text = " ".join(f"word{chr(97 + i)}{i}" for i in range(20))
    short = " ".join(w for w, k in zip(text.split(), keep, strict=True) if k)
    found = align(text, short)
    assert extract(text, found.kept).split() == short.split()
    assert found.variation == 0.0 and found.gap == 0.0


def test_the_gap_is_what_the_teacher_has_and_the_alignment_did_not_label() -> None:
    found = align("fox fox fox fox", "fox")
    assert found.gap == 0.75


def test_the_worst_examples_go() -> None:
    def example(variation: float, gap: float) -> Labelled:
        return Labelled(text="x", kept=(), variation=variation, gap=gap)

    good = [example(0.0, 0.0)] * 17
    kept = fit([*good, example(0.9, 0.0), example(0.0, 0.9), example(0.0, 0.8)])
    assert kept == good
    assert fit(good) == good
    assert fit([]) == []


def test_chunks_end_with_sentences_and_join_to_the_text() -> None:
    text = SOURCE * 20
    pieces = chunks(text, 300)
    assert "".join(pieces) == text
    assert all(len(piece) <= 300 and piece.rstrip()[-1] == "." for piece in pieces)


def test_the_model_is_told_to_delete_only() -> None:
    assert "Only delete" in INSTRUCTION and SOURCE in prompt(SOURCE)


def test_labels_are_told_word_by_word() -> None:
    found = align("a red fox", "red")
    assert kept_words(found, words(found.text)) == [False, True, False]
