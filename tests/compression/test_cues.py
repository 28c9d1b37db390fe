"""Questions, orders and texts that are only quoted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.cues import (
    asks,
    commands,
    needs_every_word,
    options,
    orders,
    personal,
    points_to_text,
    width,
)


@pytest.mark.parametrize("text", ["Who?", "誰ですか？", "متى تأسست؟", 'What is "it?"'])
def test_a_question_mark_of_any_script_asks(text: str) -> None:
    assert asks(text)


@pytest.mark.parametrize(
    "text",
    [
        "Answer briefly.",
        "요약해 주세요.",
        "答えてください。",
        "请总结。",
        "Bitte fasse zusammen.",
        "أجب عن السؤال.",
    ],
)
def test_an_order_is_known_in_many_languages(text: str) -> None:
    assert orders(text)


@pytest.mark.parametrize("text", ["", "The river rises in the hills.", "강은 북쪽 산에서 시작된다"])
def test_plain_prose_gives_no_order(text: str) -> None:
    assert not orders(text)


@pytest.mark.parametrize(
    ("request_", "points"),
    [
        ("Summarise this", True),
        ("Read the following article", True),
        ("总结以下内容", True),
        ("다음 글을 읽으세요", True),
        ("I need a contract between two companies.", False),
        ("Build an app with the following features", False),
    ],
)
def test_a_request_points_at_a_text_or_only_names_a_kind(request_: str, points: bool) -> None:
    assert points_to_text(request_) is points


def test_translation_needs_every_word() -> None:
    assert needs_every_word("Translate the following text")
    assert needs_every_word("다음을 번역해 주세요")
    assert not needs_every_word("Summarise the following text")


def test_rules_speak_to_their_reader_and_stories_of_their_writer() -> None:
    assert commands("You must never lie. Always cite.")
    assert not commands("The river rises in the hills and runs south for two hundred miles.")
    assert personal(["I had a hard week.", "The boss came."])
    assert not personal(["The river rises.", "The lake was dammed."])


def test_a_list_of_choices_is_told_from_a_paragraph() -> None:
    assert options("(A) one\n(B) two")
    assert not options("One day, a man\nwent out.")


@given(st.text())
def test_a_wide_character_counts_for_three(text: str) -> None:
    assert len(text) <= width(text) <= 3 * len(text)
    assert width("年假 a") == 8
