"""The litellm library as a client (not its proxy)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import litellm
import pytest
from pydantic import BaseModel


class Engineer(BaseModel):
    name: str
    born: int


TOOL = {
    "type": "function",
    "function": {"name": "look_up", "parameters": Engineer.model_json_schema()},
}


def asked(ask: Any, case: str = "say", **given: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": ask.text(case)}]
    return {
        "model": "gpt-4o-mini", "custom_llm_provider": "openai", "api_base": ask.url,
        "api_key": ask.key, "messages": messages, "max_retries": 0, **given,
    }  # fmt: skip


def test_plain(ask: Any) -> None:
    got = litellm.completion(**asked(ask))
    assert got.choices[0].message.content == "The Forth Bridge was designed by Fowler and Baker."
    assert got.usage.total_tokens == 222
    assert ask.shortened()


def test_streamed(ask: Any) -> None:
    chunks = litellm.completion(**asked(ask), stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "The Forth Bridge was designed by Fowler and Baker."


def test_tools(ask: Any) -> None:
    got = litellm.completion(**asked(ask), tools=[TOOL])
    call = got.choices[0].message.tool_calls[0].function
    assert (call.name, json.loads(call.arguments)) == ("look_up", {"name": "Fowler", "born": 7})


def test_structured_output(ask: Any) -> None:
    got = litellm.completion(**asked(ask), response_format=Engineer)
    assert Engineer.model_validate_json(got.choices[0].message.content).born == 7


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("fail-401", litellm.AuthenticationError),
        ("fail-402", litellm.APIError),
        ("fail-429", litellm.RateLimitError),
        ("fail-500", litellm.InternalServerError),
    ],
)
def test_errors(ask: Any, case: str, error: Any) -> None:
    with pytest.raises(error) as told:
        litellm.completion(**asked(ask, case))
    assert told.value.status_code == int(case[-3:])


def test_retries(ask: Any) -> None:
    got = litellm.completion(**asked(ask, "fail-500-once", max_retries=2))
    assert got.choices[0].message.content
    assert len(ask.came()) == 2


def test_cancel(ask: Any) -> None:
    async def work() -> None:
        stream = await litellm.acompletion(**asked(ask, "long"), stream=True)
        async for _ in stream:
            break
        await stream.aclose()

    asyncio.run(work())
    assert ask.was_left()
