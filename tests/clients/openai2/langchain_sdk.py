"""LangChain's chat model."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class Engineer(BaseModel):
    """An engineer."""

    name: str
    born: int


@tool
def look_up(name: str, born: int) -> str:
    """Looks up an engineer."""
    return f"{name}, born {born}"


def model(ask: Any, **given: Any) -> ChatOpenAI:
    given = {"model": "gpt-4o-mini", "base_url": ask.url, "api_key": ask.key, **given}
    return ChatOpenAI(**given)


def test_plain(ask: Any) -> None:
    got = model(ask).invoke(ask.text())
    assert got.content == "The Forth Bridge was designed by Fowler and Baker."
    assert got.usage_metadata["total_tokens"] == 222
    assert ask.shortened()


def test_streamed(ask: Any) -> None:
    chunks = list(model(ask, stream_usage=True).stream(ask.text()))
    assert "".join(c.content for c in chunks) == (
        "The Forth Bridge was designed by Fowler and Baker."
    )
    assert sum(c.usage_metadata["total_tokens"] for c in chunks if c.usage_metadata) == 222


def test_tools(ask: Any) -> None:
    ours = model(ask).bind_tools([look_up])
    history = [HumanMessage(ask.text())]
    called = ours.invoke(history)
    assert called.tool_calls[0]["args"] == {"name": "Fowler", "born": 7}
    result = look_up.invoke(called.tool_calls[0]["args"])
    history += [called, ToolMessage(result, tool_call_id=called.tool_calls[0]["id"])]
    assert ours.invoke(history).content.startswith("The Forth Bridge")


def test_structured_output(ask: Any) -> None:
    got = model(ask).with_structured_output(Engineer).invoke(ask.text())
    assert got == Engineer(name="Fowler", born=7)


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("fail-401", openai.AuthenticationError),
        ("fail-402", openai.APIStatusError),
        ("fail-429", openai.RateLimitError),
        ("fail-500", openai.InternalServerError),
    ],
)
def test_errors(ask: Any, case: str, error: Any) -> None:
    with pytest.raises(error):
        model(ask, max_retries=0).invoke(ask.text(case))


def test_retries(ask: Any) -> None:
    assert model(ask, max_retries=1).invoke(ask.text("fail-500-once")).content
    assert len(ask.came()) == 2


def test_cancel(ask: Any) -> None:
    async def work() -> None:
        async for _ in model(ask).astream(ask.text("long")):
            break

    asyncio.run(work())
    assert ask.was_left()
