"""What was generated is counted in the answers of every API."""

from __future__ import annotations

from typing import Any

import pytest

from unabridged.proxy.answer_text import answer_texts, event_texts

CALL = {"function": {"name": "f", "arguments": "{}"}}
WHOLE: list[tuple[dict[str, Any], str]] = [
    ({"choices": [{"message": {"content": "a", "tool_calls": [CALL]}}]}, "af{}"),
    ({"choices": [{"text": "a"}, {"text": "b"}]}, "ab"),
    (
        {
            "output": [
                {"type": "reasoning", "summary": [{"text": "s"}]},
                {"type": "message", "content": [{"type": "output_text", "text": "a"}]},
                {"type": "function_call", "name": "f", "arguments": "{}"},
            ]
        },
        "saf{}",
    ),
    (
        {
            "content": [
                {"type": "thinking", "thinking": "t"},
                {"type": "text", "text": "a"},
                {"type": "tool_use", "name": "f", "input": {"x": "é"}},
            ]
        },
        'taf{"x": "é"}',
    ),
]
EVENTS: list[tuple[dict[str, Any], str]] = [
    ({"choices": [{"delta": {"reasoning_content": "r", "content": "a"}}]}, "ar"),
    ({"choices": [{"delta": {"reasoning": "r", "reasoning_content": "r"}}]}, "r"),
    ({"choices": [{"delta": {"reasoning": "r", "reasoning_content": None}}]}, "r"),
    ({"choices": [{"text": "a"}]}, "a"),
    ({"type": "response.output_text.delta", "delta": "a"}, "a"),
    ({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}, "a"),
    ({"delta": {"type": "input_json_delta", "partial_json": "{"}}, "{"),
    ({"type": "response.completed", "response": {"output": []}}, ""),
]


@pytest.mark.parametrize(("answer", "text"), WHOLE)
def test_a_whole_answer_is_read(answer: dict[str, Any], text: str) -> None:
    assert "".join(answer_texts(answer)) == text


@pytest.mark.parametrize(("event", "text"), EVENTS)
def test_an_event_is_read(event: dict[str, Any], text: str) -> None:
    assert "".join(event_texts(event)) == text


@pytest.mark.parametrize("odd", [None, [], 1, {"choices": 1}, {"content": [1]}, {"output": {}}])
def test_what_is_no_answer_says_nothing(odd: Any) -> None:
    assert list(answer_texts(odd)) == []
