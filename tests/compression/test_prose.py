"""A long text without a mark, and the request beside it."""

from __future__ import annotations

from unabridged.compression.prose import is_source, peel, source_span

RIVER = "The river rises in the northern hills and runs south for two hundred miles. " * 8


def test_the_request_is_taken_off_on_both_sides() -> None:
    text = f"Read the article.\n\n{RIVER}\n\n{RIVER}\n\nWhere does it rise?"
    lo, hi = source_span(text, 0, len(text), later=False)
    assert text[:lo] == "Read the article.\n\n"
    assert text[hi:] == "Where does it rise?"
    assert is_source(text, (0, len(text)), (lo, hi), later=False)


def test_a_question_in_the_source_stays_if_the_real_one_is_marked() -> None:
    text = f"{RIVER}\n\nBut where did Keller go?"
    assert peel(text, 0, len(text), sure=True) == len(text)
    assert text[peel(text, 0, len(text), sure=False) :] == "But where did Keller go?"


def test_a_text_that_nothing_points_at_is_no_source() -> None:
    text = f"{RIVER}\n\n{RIVER}"
    assert not is_source(text, (0, len(text)), (0, len(text)), later=False)
