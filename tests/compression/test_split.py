"""Whole requests cut into named segments."""

# A table of marks.
# ruff: noqa: E501
from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.body import BadBody
from unabridged.compression.join import join
from unabridged.compression.prompt import Prompt
from unabridged.compression.split import split, split_text
from unabridged.policies.policy import Policy, SplitRule

LONG = "The river rises in the northern hills and runs south for two hundred miles. " * 3
BITS = st.sampled_from(
    [
        "<document>", "</document>", "<context>", "</context>", "<example>", "</example>", "## Context\n",
        "## Question\n", "Document [1](Title: a) ", "Document 2: ", "[1] ", "1. ", "2. ", "Q: ", "A: ",
        "Context:\n", "Question: ", "Answer:", "질문: ", "问题：", "Example 1:\n", "Examples:\n", '"""',
        "-----\n", "```\n", "\n", "\n\n", "?", '["', '", "', '"]', "{", "}", "Ann: ", "Bob: ",
        "<llmlingua rate=0.5>", "</llmlingua>", "# ", "Let's think step by step", LONG, "x", "\ud800", "\x00",
        '{"text": "' + "y" * 300 + '"}', json.dumps([LONG, LONG]),
    ]
)  # fmt: skip
PROMPTS = st.lists(BITS | st.text(max_size=5), max_size=30).map("".join)
ROLES = st.sampled_from(["system", "user", "assistant", "tool", "developer", "odd"])


def _tiles(prompt: Prompt) -> bool:
    """Whether the segments of each string follow one another without a gap."""
    return all(
        b.where.start == a.where.start + len(a.text)
        for a, b in pairwise(prompt.segments)
        if a.where.path == b.where.path
    )


@given(st.lists(st.fixed_dictionaries({"role": ROLES, "content": PROMPTS}), max_size=4))
def test_joining_what_was_split_gives_the_body_again(messages: list[dict[str, str]]) -> None:
    body = json.dumps({"model": "m", "messages": messages, "seed": 1})
    prompt = split(body, Policy())
    assert join(prompt) == body
    assert _tiles(prompt)
    assert all(s.text for s in prompt.segments)
    assert "".join(s.text for s in prompt.segments) == "".join(m["content"] for m in messages)


@given(PROMPTS, st.text(max_size=10))
def test_any_plain_text_is_tiled_by_its_segments(text: str, question: str) -> None:
    prompt = split_text(text, Policy(), question)
    assert join(prompt) == text
    assert "".join(s.text for s in prompt.segments) == text
    assert _tiles(prompt)


@pytest.mark.parametrize(
    "body", ["{}", '{"messages":null}', '{"messages":[1,null,{}]}', '{"messages":{}}']
)
def test_a_body_without_messages_has_no_segments_and_says_so(body: str) -> None:
    prompt = split(body, Policy())
    assert prompt.segments == ()
    assert prompt.note
    assert join(prompt) == body


def test_a_body_that_is_no_json_is_refused() -> None:
    with pytest.raises(BadBody):
        split("hello", Policy())


def test_a_doubled_key_means_hands_off() -> None:
    body = '{"messages":[],"messages":[{"role":"user","content":"x"}]}'
    prompt = split(body, Policy())
    assert prompt.segments == ()
    assert "stands twice" in prompt.note


def test_what_cannot_be_split_is_passed_through_with_a_note() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": LONG * 9}]})
    prompt = split(body, Policy())
    assert {s.kind for s in prompt.segments} <= {"instruction", "question"}
    assert prompt.note.startswith("one block of 2,0")


def test_the_policys_own_marks_win_over_everything() -> None:
    policy = Policy(
        split=(
            SplitRule(kind="document", pattern=r"(?s)BEGIN\n(?P<text>.*?)\nEND"),
            SplitRule(kind="instruction", pattern=r"(?m)^Context:.*$"),
        )
    )
    text = f"Do it.\nContext: not really one, {LONG}\nBEGIN\n<question>{LONG}</question>\nEND\nwhy?"
    body = json.dumps({"messages": [{"role": "user", "content": text}]})
    prompt = split(body, policy)
    kinds = [(s.kind, s.text[:10]) for s in prompt.segments]
    assert ("document", "<question>") in kinds
    assert ("instruction", "Context: n") in kinds
    assert ("format", "BEGIN\n") in kinds
    assert join(prompt) == body


def test_a_policy_names_whole_messages_by_index() -> None:
    body = json.dumps({"messages": [{"role": r, "content": r} for r in ("system", "user", "user")]})
    prompt = split(body, Policy(messages={0: "document", -1: "history"}))
    assert [s.kind for s in prompt.segments] == ["document", "question", "history"]


def test_tool_output_that_is_json_is_whole_and_passages_in_it_are_not() -> None:
    rows = json.dumps({"rows": [{"id": i} for i in range(9)]})
    hits = json.dumps([{"title": "a", "text": LONG + '"'}, {"title": "b", "text": LONG}])
    messages = [{"role": "user", "content": "find"}] + [
        {"role": "tool", "content": c} for c in (rows, hits, f"{LONG}\n```\ncode\n```\nend")
    ]
    body = json.dumps({"messages": messages})
    found = split(body, Policy()).segments
    outputs = [s for s in found if s.kind == "tool_output"]
    assert outputs[0].text == rows
    assert outputs[0].protected
    assert [s.escaped for s in outputs[1:3]] == [True, True]
    assert outputs[1].text == json.dumps(LONG + '"')[1:-1]
    assert [s.protected for s in outputs[3:]] == [False, True, False]
    assert {s.turn for s in found} == {0}


def test_a_question_from_outside_makes_a_plain_text_a_document() -> None:
    prompt = split_text(f"{LONG}\n\n{LONG}", Policy(), question="where does it rise?")
    assert {s.kind for s in prompt.segments} == {"document"}
    assert all(s.where.path == () for s in prompt.segments)


def test_ten_thousand_marks_take_no_more_than_linear_time() -> None:
    text = "Q: a?\nA: b\n\n" * 2_500 + "<documents>" * 2_500 + "[\n{" * 2_500 + "-----\n" * 2_500
    body = json.dumps({"messages": [{"role": "user", "content": text + "a" * 200_000}]})
    assert join(split(body, Policy())) == body
