"""A request of the Responses API: only what is sent now is looked into."""

from __future__ import annotations

import json
from typing import Any

from unabridged.compression.body import read
from unabridged.compression.join import join
from unabridged.compression.responses import speeches
from unabridged.compression.split import split
from unabridged.policies.policy import Policy


def said(body: dict[str, Any]) -> list[tuple[str, str, int]]:
    found = speeches(read(json.dumps(body), "responses"), {})
    return [(s.text.value, "kept" if s.protected else s.treatment, s.turn) for s in found]


def test_a_string_is_the_users_message_and_instructions_are_the_systems() -> None:
    body = {"model": "m", "instructions": "Be brief.", "input": "Who?"}
    assert said(body) == [("Be brief.", "system", 0), ("Who?", "user", 0)]


def test_items_are_read_by_their_kind() -> None:
    items = [
        {"role": "developer", "content": "d"},
        {"role": "user", "content": [{"type": "input_text", "text": "u"}, {"type": "input_image"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "t"},
        {"type": "custom_tool_call_output", "output": [{"type": "input_text", "text": "c"}]},
        {"role": "user", "content": "v"},
    ]
    assert said({"input": items}) == [
        ("d", "system", 0),
        ("u", "user", 0),
        ("a", "kept", 1),
        ("t", "tool", 1),
        ("c", "tool", 1),
        ("v", "user", 2),
    ]


def test_what_the_server_holds_or_encrypts_is_not_looked_into() -> None:
    items = [
        {"type": "item_reference", "id": "msg_1"},
        {"type": "reasoning", "encrypted_content": "gAAA", "summary": [{"text": "s"}]},
        {"type": "web_search_call", "status": "completed"},
        {"type": "computer_call_output", "output": {"type": "computer_screenshot"}},
        {"type": "compaction", "encrypted_content": "gAAB"},
    ]
    assert said({"previous_response_id": "resp_1", "input": items}) == []


def test_a_body_that_is_split_and_joined_is_the_same() -> None:
    raw = json.dumps({"input": [{"role": "user", "content": "A. B.\n\nQuestion: who?"}], "x": 1.50})
    assert join(split(raw, Policy(), surface="responses")) == raw
