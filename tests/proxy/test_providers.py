"""A prompt is cut on its way to a provider, and its answer gets the words back: over each
provider's own wire format, whole and streamed, read by the official library."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
import pytest
from conftest import Proxy, cutting_steps
from fake_upstream import FakeUpstream
from provider_wires import FUNCTION, INPUT_TOKENS, OUTPUT_TOKENS, WIRES, Wire

Provided = Callable[..., Proxy]

ASKED = (
    "The Treaty of Ghent was signed in Belgium in 1814. It ended a war of three years.\n\n"
    "Question: What was signed in Belgium?"
)
CUT = cutting_steps(r" of(?= Ghent)|(?<=Gh)ent")
TEXT = ("It was the Trea", "ty Gh", ", of 1814.")
ARGUMENTS = ('{"what": "Treaty', ' Gh", "year"', ": 1814}")
WHOLE_TEXT = "It was the Treaty of Ghent, of 1814."
WHOLE_ARGUMENTS = {"what": "Treaty of Ghent", "year": 1814}
SCHEMA = {
    "type": "object",
    "properties": {"what": {"type": "string"}, "year": {"type": "integer"}},
}
TOOL = {"name": FUNCTION, "description": "Keeps a note", "parameters": SCHEMA}
COST = INPUT_TOKENS * 1_000_000 + OUTPUT_TOKENS * 2_000_000
"""In nano-dollars, at the prices below."""


@dataclass(frozen=True, kw_only=True)
class Case:
    wire: Wire
    text: Sequence[str] = TEXT
    arguments: Sequence[str] = ARGUMENTS
    end: str = "tool_calls"
    """The finish_reason that the client is told."""

    @property
    def restored(self) -> int:
        return bool(self.text) + bool(self.arguments)


CASES = {
    **{name: Case(wire=WIRES[name]) for name in ("anthropic", "gemini", "bedrock")},
    # litellm leaves out what Cohere says beside a call, and tells `stop` whatever the reason was.
    "cohere's words": Case(wire=WIRES["cohere"], arguments=(), end="stop"),
    "cohere's call": Case(wire=WIRES["cohere"], text=(), end="stop"),
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def proxy(case: Case, upstream: FakeUpstream, provided: Provided) -> Proxy:
    wire = case.wire
    upstream.reply(wire.reply(case.text, case.arguments))
    prices = {wire.model: {"input": 1000, "output": 2000}}
    budget = {"name": "all", "match": {}, "window": "total", "unit": "money", "limit": "9"}
    rest = {"policy": "fake", "money": {"prices": prices}, "budgets": [budget]}
    return provided(wire.provider, wire.path, wire.params, steps=CUT, rest=rest)


def library(proxy: Proxy) -> openai.OpenAI:
    return openai.OpenAI(base_url=proxy.url, api_key="sk-test", max_retries=0, timeout=90)


def check_cut(upstream: FakeUpstream) -> None:
    """The prompt came shorter, and the function with it."""
    (seen,) = upstream.seen
    sent = seen.body.decode()
    assert "The Treaty Gh was signed in Belgium" in sent
    assert "Ghent" not in sent
    assert "Keeps a note" in sent
    assert "mcp" not in sent


def check_settled(case: Case, proxy: Proxy) -> None:
    told = proxy.receipt()
    assert (told.input_tokens, told.output_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    assert (told.nano_usd, told.cost_basis) == (COST, "measured")
    assert (told.recovered, told.ended, told.reason) == (case.restored, "complete", "")


def chat(case: Case, **more: Any) -> Any:
    tools = [{"type": "function", "function": TOOL}]
    messages = [{"role": "user", "content": ASKED}]
    return {
        "model": case.wire.model,
        "messages": messages,
        "tools": tools,
        "max_tokens": 100,
        **more,
    }


def check_chat(case: Case, got: Any) -> None:
    (choice,) = got.choices
    assert (choice.message.content or "") == (WHOLE_TEXT if case.text else "")
    calls = choice.message.tool_calls or []
    check_calls(case, [(call.function.name, call.function.arguments) for call in calls])
    assert choice.finish_reason == case.end


def check_calls(case: Case, calls: list[tuple[str, str]]) -> None:
    said = [(name, json.loads(arguments)) for name, arguments in calls]
    assert said == [(FUNCTION, WHOLE_ARGUMENTS)] * bool(case.arguments)


def test_a_chat_is_cut_restored_and_paid(case: Case, upstream: FakeUpstream, proxy: Proxy) -> None:
    got = library(proxy).chat.completions.create(**chat(case))
    check_chat(case, got)
    check_cut(upstream)
    check_settled(case, proxy)


def test_a_streamed_chat_is_cut_restored_and_paid(
    case: Case, upstream: FakeUpstream, proxy: Proxy
) -> None:
    with library(proxy).chat.completions.stream(**chat(case)) as stream:
        got = stream.get_final_completion()
    check_chat(case, got)
    check_cut(upstream)
    check_settled(case, proxy)


def responses(case: Case, **more: Any) -> Any:
    tools = [{"type": "function", "strict": False, **TOOL}]
    return {
        "model": case.wire.model,
        "input": ASKED,
        "tools": tools,
        "max_output_tokens": 100,
        **more,
    }


def check_response(case: Case, got: Any) -> None:
    assert got.status == "completed"
    assert got.output_text == (WHOLE_TEXT if case.text else "")
    calls = [item for item in got.output if item.type == "function_call"]
    check_calls(case, [(call.name, call.arguments) for call in calls])
    assert (got.usage.input_tokens, got.usage.output_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)


def test_a_response_is_cut_restored_and_paid(
    case: Case, upstream: FakeUpstream, proxy: Proxy
) -> None:
    check_response(case, library(proxy).responses.create(**responses(case)))
    check_cut(upstream)
    check_settled(case, proxy)


def test_a_streamed_response_is_cut_restored_and_paid(
    case: Case, upstream: FakeUpstream, proxy: Proxy
) -> None:
    with library(proxy).responses.stream(**responses(case)) as stream:
        said = list(stream)
        check_response(case, stream.get_final_response())
    deltas = [event.delta for event in said if event.type == "response.output_text.delta"]
    dones = [event.text for event in said if event.type == "response.output_text.done"]
    assert "".join(deltas) == "".join(dones) == (WHOLE_TEXT if case.text else "")
    check_cut(upstream)
    check_settled(case, proxy)


def messages(case: Case, **more: Any) -> Any:
    tool = {"name": FUNCTION, "description": "Keeps a note", "input_schema": SCHEMA}
    said = [{"role": "user", "content": ASKED}]
    return {"model": case.wire.model, "messages": said, "tools": [tool], "max_tokens": 100, **more}


def asked(proxy: Proxy, body: Any) -> httpx2.Response:
    got = httpx2.post(proxy.url + "/messages", json=body, timeout=90)
    assert got.status_code == 200, got.text
    return got


def test_a_message_is_cut_restored_and_paid(
    case: Case, upstream: FakeUpstream, proxy: Proxy
) -> None:
    got = asked(proxy, messages(case)).json()
    assert {"id", "type", "role", "model", "content", "stop_reason", "usage"} <= set(got)
    assert not [name for name in got if name.startswith("_")]
    said = [block["text"] for block in got["content"] if block["type"] == "text"]
    assert "".join(said) == (WHOLE_TEXT if case.text else "")
    calls = [block for block in got["content"] if block["type"] == "tool_use"]
    check_calls(case, [(call["name"], json.dumps(call["input"])) for call in calls])
    check_cut(upstream)
    check_settled(case, proxy)


def test_a_streamed_message_is_cut_restored_and_paid(
    case: Case, upstream: FakeUpstream, proxy: Proxy
) -> None:
    lines = asked(proxy, messages(case, stream=True)).text.splitlines()
    said = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert (said[0]["type"], said[-1]["type"]) == ("message_start", "message_stop")
    deltas = [event["delta"] for event in said if event["type"] == "content_block_delta"]
    assert "".join(d.get("text", "") for d in deltas) == (WHOLE_TEXT if case.text else "")
    arguments = "".join(d.get("partial_json", "") for d in deltas)
    check_calls(case, [(FUNCTION, arguments)] if arguments else [])
    check_cut(upstream)
    check_settled(case, proxy)
