"""Segments, prompts and what derives from the kept spans."""

from __future__ import annotations

import pytest

from unabridged.compression.prompt import Compressed, Prompt, Segment, Where
from unabridged.policies.policy import Kind

TEXT = "<doc>The bridge was built in 1890.</doc>\n"


def segment(text: str, kind: Kind = "document", turn: int = 0) -> Segment:
    return Segment(kind=kind, text=text, where=Where(path=(), start=0), turn=turn)


def test_the_content_lies_between_head_and_tail() -> None:
    found = Segment(
        kind="document", text=TEXT, where=Where(path=(), start=0), head=5, tail=len("</doc>\n")
    )
    assert TEXT[slice(*found.content)] == "The bridge was built in 1890."


def test_wrapping_longer_than_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="head 3 and tail 3 exceed the 5 characters"):
        Segment(kind="document", text="abcde", where=Where(path=(), start=0), head=3, tail=3)


def test_the_question_of_a_turn_is_what_its_question_segments_say() -> None:
    prompt = Prompt(
        body="",
        segments=(
            segment("Who built it? ", "question"),
            segment("When?", "question"),
            segment("Why?", "question", turn=1),
        ),
    )
    assert prompt.question(0) == "Who built it?\nWhen?"
    assert prompt.question(1) == "Why?"
    assert prompt.question(2) == "Why?", "what a tool brings is judged by the question before it"


def test_what_the_caller_asks_wins_over_what_was_found() -> None:
    prompt = Prompt(body="", segments=(segment("Who?", "question"),), asked="How long is it?")
    assert prompt.question(0) == prompt.question(7) == "How long is it?"


def test_segments_are_found_by_turn_and_kind() -> None:
    prompt = Prompt(body="", segments=(segment("a"), segment("b", "question"), segment("c")))
    assert list(prompt.of(0, "document")) == [0, 2]
    assert list(prompt.of(1, "document")) == []


def test_what_is_left_of_a_segment_is_its_kept_spans_joined() -> None:
    prompt = Prompt(body="", segments=(segment("The old bridge"), segment("gone")))
    compressed = Compressed(
        prompt=prompt,
        kept=(((0, 4), (8, 14)), ()),
        why=("cut", "dropped"),
        tokens_before=(3, 1),
        tokens_after=(2, 0),
    )
    assert [compressed.text(0), compressed.text(1)] == ["The bridge", ""]
