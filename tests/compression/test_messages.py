"""A request of the Anthropic Messages API."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.body import read
from unabridged.compression.join import join
from unabridged.compression.messages import speeches
from unabridged.compression.split import split
from unabridged.policies.policy import Policy

MARK = {"cache_control": {"type": "ephemeral"}}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def said(body: dict[str, Any]) -> list[tuple[str, str]]:
    found = speeches(read(json.dumps(body), "messages"), {})
    return [(s.text.value, "kept" if s.protected else s.treatment) for s in found]


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def test_the_system_is_a_string_or_blocks_and_the_order_is_the_bodys() -> None:
    hello = {"role": "user", "content": "hi"}
    assert said({"messages": [hello], "system": "s"}) == [("hi", "user"), ("s", "system")]
    assert said({"system": [text("s")], "messages": []}) == [("s", "system")]


def test_tool_results_are_tool_outputs_and_failures_are_kept() -> None:
    results = user(
        {"type": "tool_result", "tool_use_id": "1", "content": "a"},
        {"type": "tool_result", "tool_use_id": "2", "content": [text("b"), {"type": "image"}]},
        {"type": "tool_result", "tool_use_id": "3", "content": "c", "is_error": True},
    )
    assert said({"messages": [results]}) == [("a", "tool"), ("b", "tool"), ("c", "kept")]


def test_a_text_document_is_a_document_unless_it_is_cited_from() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "d"}
    picture = {"type": "image", "source": {"type": "base64", "data": "AAAA"}}
    free = {"type": "document", "source": source}
    cited = {**free, "citations": {"enabled": True}}
    assert said({"messages": [user(free, picture, cited)]}) == [("d", "document"), ("d", "kept")]


def test_nothing_up_to_the_last_cache_mark_is_rewritten() -> None:
    messages = [user(text("a"), text("b", **MARK), text("c")), user(text("d"))]
    body = {"messages": messages, "system": "s"}
    assert said(body) == [
        ("a", "kept"),
        ("b", "kept"),
        ("c", "user"),
        ("d", "user"),
        ("s", "kept"),
    ]


def test_a_cache_mark_counts_on_what_holds_no_text_too() -> None:
    picture = {"type": "image", "source": {"type": "base64", "data": "AAAA"}}
    call = {"type": "tool_use", "id": "1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "1"}
    for marked in (
        user(text("b"), {**picture, **MARK}),
        {"role": "assistant", "content": [text("b"), {**call, **MARK}]},
        user(text("b"), {**result, **MARK}),
        user({**result, "content": [text("b", **MARK)]}),
        user({**result, "content": [text("b"), {**picture, **MARK}]}),
    ):
        found = said({"messages": [user(text("a")), marked, user(text("c"))]})
        assert found == [("a", "kept"), ("b", "kept"), ("c", "user")]


def test_a_cache_mark_of_null_is_none() -> None:
    assert said({"messages": [user(text("a", cache_control=None))]}) == [("a", "user")]


def test_automatic_caching_keeps_everything() -> None:
    assert said({"messages": [user(text("a"))], **MARK}) == [("a", "kept")]


def test_thinking_is_not_looked_into() -> None:
    blocks = [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "tool_use", "id": "1", "name": "f", "input": {"text": "y"}},
        text("a"),
    ]
    assert said({"messages": [{"role": "assistant", "content": blocks}]}) == [("a", "kept")]


BLOCKS = st.sampled_from(
    [
        text("The river runs south. It is long.\n\nQuestion: where?"),
        {"type": "tool_result", "content": "Line one.\nLine two."},
        {"type": "document", "source": {"type": "text", "data": "One. Two.\n\nThree."}},
        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
    ]
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant"]), "content": st.lists(BLOCKS, max_size=3)}
    ),
    max_size=4,
)


@given(MESSAGES, MESSAGES)
def test_later_messages_change_no_earlier_cut_and_joining_gives_the_body(
    before: list[Any], after: list[Any]
) -> None:
    short = split(json.dumps({"messages": before}), Policy(), surface="messages")
    raw = json.dumps({"messages": before + after})
    long = split(raw, Policy(), surface="messages")
    assert long.segments[: len(short.segments)] == short.segments
    assert join(long) == raw
