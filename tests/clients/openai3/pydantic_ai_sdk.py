"""pydantic-ai."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

SURFACES = [OpenAIChatModel, OpenAIResponsesModel]


class Engineer(BaseModel):
    name: str
    born: int


def agent(ask: Any, surface: Any = SURFACES[0], retries: int = 0, **given: Any) -> Any:
    client = openai.AsyncOpenAI(base_url=ask.url, api_key=ask.key, max_retries=retries)
    return Agent(surface("gpt-4o-mini", provider=OpenAIProvider(openai_client=client)), **given)


@pytest.mark.parametrize("surface", SURFACES)
def test_plain(ask: Any, surface: Any) -> None:
    got = agent(ask, surface).run_sync(ask.text())
    assert got.output == "The Forth Bridge was designed by Fowler and Baker."


@pytest.mark.parametrize("surface", SURFACES)
def test_streamed(ask: Any, surface: Any) -> None:
    async def work() -> str:
        async with agent(ask, surface).run_stream(ask.text()) as run:
            return "".join([piece async for piece in run.stream_text(delta=True)])

    assert asyncio.run(work()) == "The Forth Bridge was designed by Fowler and Baker."


@pytest.mark.parametrize("surface", SURFACES)
def test_tools(ask: Any, surface: Any) -> None:
    called: list[str] = []
    ours = agent(ask, surface)

    @ours.tool_plain
    def look_up(name: str, born: int) -> str:
        """Looks up an engineer."""
        called.append(f"{name} {born}")
        return "an engineer"

    assert ours.run_sync(ask.text()).output.startswith("The Forth Bridge")
    assert called == ["Fowler 7"]


@pytest.mark.parametrize("form", [Engineer, NativeOutput(Engineer)], ids=["tool", "native"])
def test_structured_output(ask: Any, form: Any) -> None:
    got = agent(ask, output_type=form).run_sync(ask.text())
    assert got.output == Engineer(name="Fowler", born=7)


@pytest.mark.parametrize("status", [401, 402, 429, 500])
def test_errors(ask: Any, status: int) -> None:
    with pytest.raises(ModelHTTPError) as told:
        agent(ask).run_sync(ask.text(f"fail-{status}"))
    assert told.value.status_code == status


def test_retries(ask: Any) -> None:
    assert agent(ask, retries=2).run_sync(ask.text("fail-500-once")).output
    assert len(ask.came()) == 2


def test_cancel(ask: Any) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        task = asyncio.create_task(reading())
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def reading() -> None:
        async with agent(ask).run_stream(ask.text("long")) as run:
            async for _ in run.stream_text():
                begun.set()

    asyncio.run(work())
    assert ask.was_left()
