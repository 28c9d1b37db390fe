"""Anthropic's own library: the Messages API."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

SENTENCE = "The Forth Bridge was designed by Fowler and Baker."
TOOL: Any = {
    "name": "look_up",
    "description": "Looks up an engineer",
    "input_schema": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "born": {"type": "integer"}},
        "required": ["name", "born"],
    },
}


def client(ask: Any, **given: Any) -> anthropic.Anthropic:
    root = ask.url.removesuffix("/v1")
    return anthropic.Anthropic(**{"base_url": root, "api_key": ask.key, **given})


def said(ask: Any, case: str = "say") -> dict[str, Any]:
    messages = [{"role": "user", "content": ask.text(case)}]
    return {"model": "claude-sonnet", "max_tokens": 64, "messages": messages}


def test_plain(ask: Any) -> None:
    got = client(ask).messages.create(**said(ask))
    assert got.content[0].text == SENTENCE
    assert got.model_extra == {"a_field_of_tomorrow": {"kept": 1.0}}
    assert ask.shortened()


def test_streamed(ask: Any) -> None:
    with client(ask).messages.stream(**said(ask)) as stream:
        assert "".join(stream.text_stream) == SENTENCE
    assert stream.get_final_message().usage.output_tokens == 12
    assert ask.shortened()


def test_tools(ask: Any) -> None:
    asked = said(ask)
    got = client(ask).messages.create(**asked, tools=[TOOL])
    call = got.content[0]
    assert (call.name, call.input) == ("look_up", {"name": "Fowler", "born": 7})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "born 1817"}
    asked["messages"] += [
        {"role": "assistant", "content": got.content},
        {"role": "user", "content": [result]},
    ]
    got = client(ask).messages.create(**asked, tools=[TOOL])
    assert got.content[0].text == SENTENCE
    assert ask.came()[0]["body"]["tools"] == [TOOL]


def test_tools_streamed(ask: Any) -> None:
    with client(ask).messages.stream(**said(ask), tools=[TOOL]) as stream:
        got = stream.get_final_message()
    assert got.stop_reason == "tool_use"
    assert got.content[0].input == {"name": "Fowler", "born": 7}


def test_a_count_is_of_what_would_be_sent(ask: Any) -> None:
    asked = said(ask)
    del asked["max_tokens"]
    got = client(ask).messages.count_tokens(**asked)
    assert 0 < got.input_tokens < len(ask.text())
    assert ask.shortened()


def test_what_is_marked_for_the_cache_is_sent_as_it_was_written(ask: Any) -> None:
    text = ask.text()
    mark = {"type": "ephemeral"}
    content = [{"type": "text", "text": text, "cache_control": mark}]
    client(ask).messages.create(**{**said(ask), "messages": [{"role": "user", "content": content}]})
    assert ask.came()[-1]["body"]["messages"][0]["content"] == content


@pytest.mark.parametrize(
    ("case", "error", "tries"),
    [
        ("fail-400", anthropic.BadRequestError, 1),
        ("fail-401", anthropic.AuthenticationError, 1),
        ("fail-429", anthropic.RateLimitError, 3),
        ("fail-500", anthropic.InternalServerError, 3),
        ("fail-529", anthropic.APIStatusError, 3),
    ],
)
def test_errors_of_the_upstream(ask: Any, case: str, error: Any, tries: int) -> None:
    with pytest.raises(error, match="the upstream says") as told:
        client(ask).messages.create(**said(ask, case))
    assert told.value.status_code == int(case[-3:])
    assert len(ask.came()) == tries


def test_errors_of_the_proxy(ask: Any) -> None:
    with pytest.raises(anthropic.AuthenticationError) as wrong:
        client(ask, api_key="wrong").messages.create(**said(ask))
    assert wrong.value.body["error"]["type"] == "authentication_error"
    poor = client(ask, api_key=ask.poor_key)
    with pytest.raises(anthropic.APIStatusError) as spent:
        for _ in range(2):
            poor.messages.create(**said(ask))
    assert (spent.value.status_code, spent.value.body["type"]) == (402, "error")
    assert spent.value.body["error"]["type"] == "billing_error"
    assert len(ask.came()) <= 1


def test_retries(ask: Any) -> None:
    assert client(ask).messages.create(**said(ask, "fail-500-once")).content[0].text == SENTENCE
    assert len(ask.came()) == 2


def test_a_stream_that_breaks_off_is_an_error_and_no_short_answer(ask: Any) -> None:
    with (
        pytest.raises(anthropic.APIError),
        client(ask).messages.stream(**said(ask, "break")) as stream,
    ):
        stream.get_final_message()


def test_cancel(ask: Any) -> None:
    with client(ask).messages.stream(**said(ask, "long")) as stream:
        next(iter(stream.text_stream))
    assert ask.was_left()
