"""The words of the originals and which stand side by side."""

from __future__ import annotations

from unabridged.compression.vocabulary import MOST_OFTEN, Vocabulary

WORDS = Vocabulary(["The bridge at Ghent", "the old bridge", "a bridge and a bridge"])


def test_a_word_is_known_in_any_case_and_a_part_of_one_is_not() -> None:
    assert WORDS.has("GHENT")
    assert not WORDS.has("Ghe")


def test_a_frequent_or_short_word_tells_nothing() -> None:
    assert WORDS.telling("Ghent")
    assert not WORDS.telling("at")
    assert WORDS.counts["bridge"] > MOST_OFTEN
    assert not WORDS.telling("bridge")


def test_words_are_held_only_side_by_side_and_in_order() -> None:
    assert WORDS.holds(["old", "bridge"])
    assert not WORDS.holds(["bridge", "old"])
    assert WORDS.holds(["bridge"])


def test_words_that_never_stood_side_by_side_are_known_by_that() -> None:
    assert WORDS.holds(["old", "bridge"])
    assert not WORDS.holds(["bridge", "old"])
    assert not WORDS.holds(["Ghe"])
