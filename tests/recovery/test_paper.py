"""Algorithm 1 as published, for comparison."""

from __future__ import annotations

from unabridged.recovery.paper import algorithm_1

ORIGINAL = "The Treaty of Ghent ended the war. It is generally considered safe but not recommended."


def test_a_span_of_the_compressed_text_becomes_its_stretch_of_the_original() -> None:
    found = algorithm_1(ORIGINAL, "The Treaty Ghent ended war.", "It was the Treaty Ghent.")
    assert "Treaty of Ghent" in found.text
    assert [(e.was, e.now) for e in found.edits] == [("Treaty Ghent", "Treaty of Ghent")]


def test_it_also_inserts_what_was_dropped_on_purpose() -> None:
    """The reason why it is not the default."""
    found = algorithm_1(ORIGINAL, "is not recommended", "It is not recommended")
    assert "generally considered safe" in found.text


def test_words_of_the_responses_own_stay() -> None:
    assert algorithm_1(ORIGINAL, "The Treaty Ghent", "Nobody knows.").text == "Nobody knows."
