"""openai-agents, on both of the surfaces that it speaks."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from pydantic import BaseModel

set_tracing_disabled(True)
SURFACES = [OpenAIChatCompletionsModel, OpenAIResponsesModel]
CALLED: list[str] = []


class Engineer(BaseModel):
    name: str
    born: int


@function_tool
def look_up(name: str, born: int) -> str:
    """Looks up an engineer."""
    CALLED.append(f"{name} {born}")
    return "an engineer"


def agent(ask: Any, surface: Any, retries: int = 0, **given: Any) -> Agent:
    client = openai.AsyncOpenAI(base_url=ask.url, api_key=ask.key, max_retries=retries)
    return Agent(name="a", model=surface(model="gpt-4o-mini", openai_client=client), **given)


@pytest.mark.parametrize("surface", SURFACES)
def test_plain(ask: Any, surface: Any) -> None:
    got = Runner.run_sync(agent(ask, surface), ask.text())
    assert got.final_output == "The Forth Bridge was designed by Fowler and Baker."
    assert len(ask.came()) == 1


@pytest.mark.parametrize("surface", SURFACES)
def test_streamed(ask: Any, surface: Any) -> None:
    async def work() -> Any:
        run = Runner.run_streamed(agent(ask, surface), ask.text())
        kinds = {event.type async for event in run.stream_events()}
        assert "raw_response_event" in kinds
        return run.final_output

    assert asyncio.run(work()) == "The Forth Bridge was designed by Fowler and Baker."


@pytest.mark.parametrize("surface", SURFACES)
def test_tools(ask: Any, surface: Any) -> None:
    CALLED.clear()
    got = Runner.run_sync(agent(ask, surface, tools=[look_up]), ask.text())
    assert got.final_output.startswith("The Forth Bridge")
    assert CALLED == ["Fowler 7"]


@pytest.mark.parametrize("surface", SURFACES)
def test_structured_output(ask: Any, surface: Any) -> None:
    got = Runner.run_sync(agent(ask, surface, output_type=Engineer), ask.text())
    assert got.final_output == Engineer(name="Fowler", born=7)


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("fail-401", openai.AuthenticationError),
        ("fail-402", openai.APIStatusError),
        ("fail-429", openai.RateLimitError),
        ("fail-500", openai.InternalServerError),
    ],
)
def test_errors(ask: Any, surface: Any, case: str, error: Any) -> None:
    with pytest.raises(error):
        Runner.run_sync(agent(ask, surface), ask.text(case))


def test_retries(ask: Any) -> None:
    got = Runner.run_sync(agent(ask, SURFACES[0], retries=2), ask.text("fail-500-once"))
    assert got.final_output
    assert len(ask.came()) == 2


@pytest.mark.parametrize("surface", SURFACES)
def test_cancel(ask: Any, surface: Any) -> None:
    async def work() -> None:
        run = Runner.run_streamed(agent(ask, surface), ask.text("long"))
        async for event in run.stream_events():
            if event.type == "raw_response_event":
                run.cancel()
        await asyncio.sleep(0.2)

    asyncio.run(work())
    assert ask.was_left()
