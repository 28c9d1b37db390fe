"""Which strings of an answer may be restored."""

from __future__ import annotations

import json
from typing import Any

from unabridged.compression.body import read
from unabridged.recovery.said import ANSWERS, CITED, SCORED


def said(surface: str, **answer: Any) -> list[tuple[str, str, str]]:
    tree = read(json.dumps(answer), f"{surface} answer").tree
    return [(s.text.value, s.form, s.why_not) for s in ANSWERS[surface](tree)]


def test_a_response_says_its_messages_and_calls_and_no_reasoning() -> None:
    text = {"type": "output_text", "text": "a", "annotations": []}
    output = [
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "r"}]},
        {"type": "message", "content": [text, {"type": "refusal", "refusal": "no"}]},
        {"type": "function_call", "arguments": "{}"},
        {"type": "mcp_call", "arguments": "{}"},
    ]
    assert said("responses", output=output) == [("a", "words", ""), ("{}", "json", "")]


def test_what_counts_tokens_or_characters_of_a_response_is_left() -> None:
    def one(**more: Any) -> list[dict[str, Any]]:
        return [{"type": "message", "content": [{"type": "output_text", "text": "a", **more}]}]

    assert said("responses", output=one(logprobs=[1]))[0][2] == SCORED
    assert said("responses", output=one(annotations=[{}]))[0][2] == CITED
    assert said("responses", output=one(), tools=[{"type": "web_search"}])[0][2] == CITED
    assert said("responses", output=one(), tools=[{"type": "function"}])[0][2] == ""


def test_a_chat_whose_citations_count_characters_is_left_and_so_is_what_custom_tools_get() -> None:
    def one(**more: Any) -> list[dict[str, Any]]:
        return [{"message": {"role": "assistant", "content": "a", **more}}]

    assert said("chat", choices=one(annotations=[])) == [("a", "words", "")]
    cited = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1}}
    assert said("chat", choices=one(annotations=[cited]))[0][2] == f"choice 0: {CITED}"
    custom = {"type": "custom", "custom": {"name": "run", "input": "by a grammar"}}
    assert said("chat", choices=one(content=None, tool_calls=[custom])) == []
    assert said("responses", output=[{"type": "custom_tool_call", "input": "by a grammar"}]) == []


def test_a_message_says_its_text_and_the_strings_of_tool_input_at_any_depth() -> None:
    content = [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "input": {"x": "b", "y": [{"z": "c"}, 1, None], "*": "d"}},
        {"type": "server_tool_use", "input": {"query": "q"}},
    ]
    assert said("messages", content=content) == [
        ("a", "words", ""),
        ("b", "value", ""),
        ("c", "value", ""),
        ("d", "value", ""),
    ]


def test_a_completion_says_the_text_of_each_choice() -> None:
    found = said("completions", choices=[{"text": "a"}, {"text": "b", "logprobs": {}}])
    assert [(t, bool(why)) for t, _, why in found] == [("a", False), ("b", True)]


def test_odd_answers_say_nothing() -> None:
    for surface in ANSWERS:
        odd = {"choices": 1, "output": [1, {"type": "message", "content": "x"}], "content": {}}
        assert said(surface, **odd) == []
