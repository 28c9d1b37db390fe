"""What is restored in a text, and what is not."""

from __future__ import annotations

import pytest
from cut_prompts import COMPRESSED, ORIGINAL, kept_spans, replies
from hypothesis import given, settings
from hypothesis import strategies as st

from unabridged.recovery.index import Index
from unabridged.recovery.restore import restore

INDEX = Index.of_texts(ORIGINAL, COMPRESSED)


@given(replies)
def test_restoring_twice_is_restoring_once(reply: str) -> None:
    once = restore(reply, INDEX).text
    assert restore(once, INDEX).text == once


@given(replies)
def test_the_edits_say_all_that_changed(reply: str) -> None:
    restored = restore(reply, INDEX)
    at, rebuilt = 0, ""
    for edit in restored.edits:
        assert reply[edit.start : edit.end] == edit.was != edit.now
        rebuilt += reply[at : edit.start] + edit.now
        at = edit.end
    assert rebuilt + reply[at:] == restored.text


@given(st.text())
def test_text_that_shares_nothing_with_the_request_stays(text: str) -> None:
    index = Index.of_texts("Wilhelm Röntgen discovered it.", "Wilhelm Röntg discovered it.")
    if "Röntg" not in text:
        assert restore(text, index).text == text


@given(kept_spans(ORIGINAL))
@settings(max_examples=200)
def test_the_original_itself_needs_nothing(kept: tuple[tuple[int, int], ...]) -> None:
    index = Index.of_spans([ORIGINAL], [kept])
    assert restore(ORIGINAL, index).text == ORIGINAL


@given(kept_spans(ORIGINAL), replies)
@settings(max_examples=200)
def test_an_edit_only_puts_characters_of_the_original_back(
    kept: tuple[tuple[int, int], ...], reply: str
) -> None:
    for edit in restore(reply, Index.of_spans([ORIGINAL], [kept])).edits:
        left = iter(edit.now)
        assert all(char in left for char in edit.was if not char.isspace())
        assert " ".join(edit.now.split()) in " ".join(ORIGINAL.split())


@pytest.mark.parametrize(
    ("reply", "restored"),
    [
        ("It was Wilhelm Röntg.", "It was Wilhelm Röntgen."),
        ("**Wilhelm Röntg**'s rays [3]", "**Wilhelm Röntgen**'s rays [3]"),
        ("It ended with the Treaty Gh, they say.", "It ended with the Treaty of Ghent, they say."),
        ("The bridge is 1,402.", "The bridge is 1,402 km."),
        ("Ask raj_sanchez_73 first", "Ask raj_sanchez_7340 first"),
        ("See https://example.com/do.", "See https://example.com/docs/page."),
        ("Open `src/main/pa.py`", "Open `src/main/parse.py`"),
        ("빌헬름 뢴트가 했다", "빌헬름 뢴트겐가 했다"),
        ("これはヴィルヘルム・レントです。", "これはヴィルヘルム・レントゲンです。"),
        ("是威廉·伦发现了。", "是威廉·伦琴发现了。"),
        ("他是威廉·伦。", "他是威廉·伦琴。"),
        ("Владимира Вернадск знали", "Владимира Вернадского знали"),
        ("قال بالأستاذ عبدالر أمس", "قال بالأستاذ عبدالرحمن أمس"),
    ],
)
def test_what_was_cut_inside_comes_back(index: Index, reply: str, restored: str) -> None:
    assert restore(reply, index).text == restored


@pytest.mark.parametrize(
    "reply",
    [
        "It is not recommended for children.",
        "Wilhelm said so.",
        "Wilhelm Röntgen and the Treaty of Ghent",
        "1,402 miles", "1,402 km", "$1,402", "21,402", "1,402,000", "[1402]",
        "```\nWilhelm Röntg\n```", "`Wilhelm Röntg`",
        "https://example.org/?q=(Röntg", "/home/Röntg/x", "Wilhelm Röntg-Platz",
        "Wilhelm Röntge", "Wilhelm Röntgs", "뢴트공", "威廉·伦琴", "威廉·伦敦", "Mr Ghosh",
    ],
)  # fmt: skip
def test_what_nothing_proves_stays(index: Index, reply: str) -> None:
    assert restore(reply, index).text == reply


def test_dropped_words_between_names_are_never_inserted() -> None:
    index = Index.of_texts("safe but by no means always recommended", "safe recommended")
    assert restore("It is safe recommended.", index).text == "It is safe recommended."


def test_a_form_that_two_names_were_cut_to_is_refused_with_the_reason() -> None:
    original = "First came Johanna Kowalski from there. Later spoke Johanna Kowalewski about this."
    compressed = "First came Johanna Kowal from there. Later spoke Johanna Kowal about this."
    restored = restore("Johanna Kowal is a person.", Index.of_texts(original, compressed))
    assert restored.text == "Johanna Kowal is a person."
    assert [piece.was for piece in restored.refusals] == ["Johanna Kowal"]


def test_the_words_around_it_decide_between_two_names() -> None:
    original = "First came Johanna Kowalski from Gdansk. Later spoke Johanna Kowalewski about tax."
    compressed = "First came Johanna Kowal from Gdansk. Later spoke Johanna Kowal about tax."
    index = Index.of_texts(original, compressed)
    assert restore("Later spoke Johanna Kowal.", index).text == "Later spoke Johanna Kowalewski."
    assert "Johanna Kowalski from Gdansk" in restore("It was Johanna Kowal from Gdansk", index).text


def test_each_edit_names_its_source_and_its_reason(index: Index) -> None:
    (edit,) = restore("Wilhelm Röntg", index).edits
    segment, (start, end) = edit.source
    assert segment == 0
    assert ORIGINAL[start:end] == "Wilhelm Röntgen"
    assert "name cut inside" in edit.why


def test_a_first_name_is_not_repeated_before_what_follows_it() -> None:
    index = Index.of_texts("They met Karl Johan Ekström there.", "They met Johan Ekstr there.")
    assert restore("They met Karl Johan Ekstr.", index).text == "They met Karl Johan Ekström."
