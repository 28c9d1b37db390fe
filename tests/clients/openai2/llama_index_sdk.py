"""LlamaIndex's model for OpenAI-like servers."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel


class Engineer(BaseModel):
    """An engineer."""

    name: str
    born: int


def look_up(name: str, born: int) -> str:
    """Looks up an engineer."""
    return f"{name}, born {born}"


def model(ask: Any, **given: Any) -> OpenAILike:
    return OpenAILike(
        model="gpt-4o-mini", api_base=ask.url, api_key=ask.key, is_chat_model=True,
        is_function_calling_model=True, context_window=8000, **{"max_retries": 0, **given},
    )  # fmt: skip


def test_plain(ask: Any) -> None:
    got = model(ask).complete(ask.text())
    assert got.text == "The Forth Bridge was designed by Fowler and Baker."
    assert ask.shortened()


def test_streamed(ask: Any) -> None:
    text = "".join(piece.delta or "" for piece in model(ask).stream_complete(ask.text()))
    assert text == "The Forth Bridge was designed by Fowler and Baker."


def test_tools(ask: Any) -> None:
    tool = FunctionTool.from_defaults(look_up)
    ours = model(ask)
    got = ours.chat_with_tools([tool], user_msg=ask.text())
    calls = ours.get_tool_calls_from_response(got)
    assert (calls[0].tool_name, calls[0].tool_kwargs) == ("look_up", {"name": "Fowler", "born": 7})


def test_structured_output(ask: Any) -> None:
    got = model(ask).as_structured_llm(Engineer).chat([ChatMessage(ask.text())])
    assert got.raw == Engineer(name="Fowler", born=7)


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
        model(ask).complete(ask.text(case))


def test_retries(ask: Any) -> None:
    assert model(ask, max_retries=2).complete(ask.text("fail-500-once")).text
    assert len(ask.came()) == 2


def test_cancel(ask: Any) -> None:
    begun = asyncio.Event()

    async def reading() -> None:
        async for _ in await model(ask).astream_complete(ask.text("long")):
            begun.set()

    async def work() -> None:
        task = asyncio.create_task(reading())
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())
    assert ask.was_left()
