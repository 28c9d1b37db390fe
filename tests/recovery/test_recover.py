"""Recovery from three strings, and the published algorithm beside it."""

from __future__ import annotations

import pytest
from cut_prompts import COMPRESSED, ORIGINAL, replies
from hypothesis import given

from unabridged.recovery.recover import recover

NEGATED = ("It is generally considered safe but not recommended.", "It is not recommended.")


def test_alignment_restores_names_and_inserts_nothing_else() -> None:
    assert recover(ORIGINAL, COMPRESSED, "Wilhelm Röntg").text == "Wilhelm Röntgen"
    assert recover(*NEGATED, "it is not recommended").text == "it is not recommended"


def test_the_published_algorithm_also_inserts_what_was_dropped_between() -> None:
    found = recover(*NEGATED, "It is not recommended", mode="paper")
    assert found.text == "It is generally considered safe but not recommended"


def test_the_published_algorithm_restores_a_name() -> None:
    assert recover(ORIGINAL, COMPRESSED, "By Wilhelm Röntg", mode="paper").text.endswith("Röntgen")


@given(replies)
def test_nothing_was_cut_so_nothing_changes(reply: str) -> None:
    assert recover(ORIGINAL, ORIGINAL, reply).text == reply


def test_an_unknown_mode_is_named() -> None:
    with pytest.raises(ValueError, match="unknown recovery mode 'fast'; known: alignment, paper"):
        recover("a", "b", "c", mode="fast")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("original", "compressed", "reply"),
    [
        ("The theatre opened in 2015 with 215 seats.", "theatre 215 seats", "It has 215, he said"),
        ("In 2015 the other man came.", "In 15 the man came.", "the 15 of them, other than he"),
        ("Paid 1,402 dollars in 1941.", "Paid in 1941.", "It is 402 in 194."),
        ("Sir John Fowler built it.", "Sir Fowler built it.", "`name = 'Sir Fowler'`"),
        ("A\r\n\r\n  b of C.", "A\r\n\r\n  b C.", "a\r\n\r\n  B\tc"),
    ],
    ids=["he in the", "215 and 2015", "digits inside", "code", "white space"],
)
def test_letters_and_digits_that_only_occur_inside_something_else_prove_nothing(
    original: str, compressed: str, reply: str
) -> None:
    assert recover(original, compressed, reply).text == reply
