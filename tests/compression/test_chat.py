"""Roles and turns."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.body import read
from unabridged.compression.chat import speeches
from unabridged.compression.speech import Speech
from unabridged.compression.split import split
from unabridged.policies.policy import Kind, Policy

LONG = "The river rises in the northern hills and runs south for two hundred miles. " * 4
TEXTS = st.sampled_from(
    [
        "hello",
        "Q: 1+1?\nA: 2\n\nQ: 2+2?\nA: 4\n\nQ: 3+3?\nA:",
        f"Context:\n{LONG}\n\n{LONG}\n\nQuestion: where?",
        f"<document>{LONG}</document>\nSummarise.",
        f"Document [1](Title: a) {LONG}\nDocument [2](Title: b) {LONG}\n\nwhich one?",
        json.dumps({"rows": [1, 2, 3]}),
    ]
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "critic"]),
            "content": TEXTS,
        }
    ),
    max_size=6,
)


def _said(messages: list[dict[str, Any]], kinds: dict[int, Kind] | None = None) -> list[Speech]:
    return list(speeches(read(json.dumps({"messages": messages})), kinds or {}))


@given(MESSAGES, MESSAGES)
def test_later_messages_never_change_how_earlier_ones_are_split(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    short = split(json.dumps({"messages": before}), Policy()).segments
    long = split(json.dumps({"messages": before + after}), Policy()).segments
    assert long[: len(short)] == short


def test_a_turn_ends_where_a_request_can_end() -> None:
    roles = ["system", "user", "assistant", "tool", "tool", "assistant", "user", "user"]
    turns = [s.turn for s in _said([{"role": r, "content": r} for r in roles])]
    assert turns == [0, 0, 1, 1, 1, 2, 3, 4]


def test_an_assistant_message_is_never_cut_unless_the_policy_names_it() -> None:
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    assert _said(messages)[1].protected
    named = _said(messages, {-1: "demonstration"})[1]
    assert (named.kind, named.protected) == ("demonstration", False)


def test_what_the_provider_caches_is_protected_and_says_so() -> None:
    part = {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}
    said = _said([{"role": "user", "content": [part, {"type": "text", "text": "why?"}]}])
    assert said[0].protected
    assert "cache_control" in said[0].why
    assert not said[1].protected


def test_a_cache_mark_counts_on_what_holds_no_text_too() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    picture = {"type": "image_url", "image_url": {"url": "x"}, **mark}
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}], **mark}
    for marked in ({"role": "user", "content": [picture]}, call):
        said = _said([{"role": "user", "content": LONG}, marked, {"role": "user", "content": LONG}])
        assert [one.protected for one in said] == [True, False]
    assert not _said([{"role": "user", "content": LONG, "cache_control": None}])[0].protected


def test_refusals_images_tool_calls_and_unknown_roles_are_left_alone() -> None:
    messages = [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}, "odd"]},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"arguments": "{}"}}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no", "text": "no"}]},
        {"role": "critic", "content": LONG},
        "not a message",
    ]
    said = _said(messages)  # type: ignore[arg-type]
    assert [(s.text.value, s.protected) for s in said] == [(LONG, True)]


def test_example_names_of_the_openai_cookbook_make_demonstrations() -> None:
    messages = [{"role": "system", "name": "example_user", "content": "synergy"}]
    assert _said(messages)[0].kind == "demonstration"
