"""The official Python library, in each of its major versions."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks up an engineer",
        "parameters": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "born": {"type": "integer"}},
            "required": ["name", "born"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


class Engineer(BaseModel):
    name: str
    bridges: list[str]
    born: int


def client(ask: Any, **given: Any) -> openai.OpenAI:
    from openai import OpenAI

    return OpenAI(**{"base_url": ask.url, "api_key": ask.key, **given})


def said(ask: Any, case: str = "say") -> list[Any]:
    return [{"role": "user", "content": ask.text(case)}]


def test_plain(ask: Any) -> None:
    got = client(ask).chat.completions.create(model="gpt-4o-mini", messages=said(ask))
    assert got.choices[0].message.content == "The Forth Bridge was designed by Fowler and Baker."
    assert got._request_id == "req_of_the_upstream"
    assert got.model_extra == {"a_field_of_tomorrow": {"kept": 1.0}}
    assert ask.shortened()


def test_streamed(ask: Any) -> None:
    chunks = list(
        client(ask).chat.completions.create(model="gpt-4o-mini", messages=said(ask), stream=True)
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "The Forth Bridge was designed by Fowler and Baker."
    assert all(chunk.usage is None for chunk in chunks)
    assert ask.shortened()


def test_streamed_with_its_usage(ask: Any) -> None:
    *_, last = client(ask).chat.completions.create(
        model="gpt-4o-mini", messages=said(ask), stream=True, stream_options={"include_usage": True}
    )
    assert last.choices == [] and last.usage is not None and last.usage.total_tokens == 222


def test_tools(ask: Any) -> None:
    ours = client(ask)
    history = said(ask)
    got = ours.chat.completions.create(model="gpt-4o-mini", messages=history, tools=[TOOL])
    call = got.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "look_up", {"name": "Fowler", "born": 7},
    )  # fmt: skip
    history += [
        got.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": '{"name": "Fowler", "born": 1817}'},
    ]
    got = ours.chat.completions.create(model="gpt-4o-mini", messages=history, tools=[TOOL])
    assert got.choices[0].message.content.startswith("The Forth Bridge")
    assert ask.came()[0]["body"]["tools"] == [TOOL]


def test_tools_streamed(ask: Any) -> None:
    name, arguments = "", ""
    for chunk in client(ask).chat.completions.create(
        model="gpt-4o-mini", messages=said(ask), tools=[TOOL], stream=True
    ):
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert (name, json.loads(arguments)) == ("look_up", {"name": "Fowler", "born": 7})


def test_structured_output(ask: Any) -> None:
    got = client(ask).chat.completions.parse(
        model="gpt-4o-mini", messages=said(ask), response_format=Engineer
    )
    assert got.choices[0].message.parsed == Engineer(name="Fowler", bridges=["Fowler"], born=7)


def test_structured_output_streamed(ask: Any) -> None:
    with client(ask).chat.completions.stream(
        model="gpt-4o-mini", messages=said(ask), response_format=Engineer
    ) as stream:
        kinds = [event.type for event in stream]
    assert kinds[-1] == "content.done"
    assert stream.get_final_completion().choices[0].message.parsed.born == 7


def test_responses(ask: Any) -> None:
    got = client(ask).responses.create(model="gpt-4o-mini", input=ask.text())
    assert got.output_text.startswith("The Forth Bridge")
    got = client(ask).responses.parse(model="gpt-4o-mini", input=ask.text(), text_format=Engineer)
    assert got.output_parsed.name == "Fowler"


def test_responses_streamed(ask: Any) -> None:
    with client(ask).responses.stream(model="gpt-4o-mini", input=ask.text()) as stream:
        text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
    assert text == "The Forth Bridge was designed by Fowler and Baker."


def test_what_is_not_a_chat(ask: Any) -> None:
    ours = client(ask)
    assert [m.id for m in ours.models.list()] == ["gpt-4o-mini"]
    got = ours.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    assert [d.embedding for d in got.data] == [[0.5, -0.25]] * 2
    done = ours.completions.create(model="gpt-3.5-turbo-instruct", prompt=ask.text())
    assert done.choices[0].text.startswith("The Forth Bridge")


@pytest.mark.parametrize(
    ("case", "error", "tries"),
    [
        ("fail-400", openai.BadRequestError, 1),
        ("fail-401", openai.AuthenticationError, 1),
        ("fail-402", openai.APIStatusError, 1),
        ("fail-429", openai.RateLimitError, 3),
        ("fail-500", openai.InternalServerError, 3),
    ],
)
def test_errors_of_the_upstream(ask: Any, case: str, error: Any, tries: int) -> None:
    with pytest.raises(error, match="the upstream says") as told:
        client(ask).chat.completions.create(model="gpt-4o-mini", messages=said(ask, case))
    assert told.value.status_code == int(case[-3:])
    assert told.value.body["message"] == f"the upstream says {case[-3:]}"
    assert told.value.request_id == "req_of_the_upstream"
    assert len(ask.came()) == tries


def test_a_wrong_key(ask: Any) -> None:
    with pytest.raises(openai.AuthenticationError) as told:
        client(ask, api_key="wrong").chat.completions.create(model="m", messages=said(ask))
    assert told.value.code == "invalid_api_key"
    assert ask.came() == []


def test_a_spent_budget_is_not_tried_again(ask: Any) -> None:
    ours = client(ask, api_key=ask.poor_key)
    with pytest.raises(openai.APIStatusError) as told:
        for _ in range(2):
            ours.chat.completions.create(model="gpt-4o-mini", messages=said(ask))
    assert told.value.status_code == 402
    assert told.value.code == "budget_exceeded"
    assert len(ask.came()) <= 1


def test_retries(ask: Any) -> None:
    got = client(ask).chat.completions.create(
        model="gpt-4o-mini", messages=said(ask, "fail-500-once")
    )
    assert got.choices[0].message.content
    heads = [{k.lower(): v for k, v in each["headers"].items()} for each in ask.came()]
    assert [head["x-stainless-retry-count"] for head in heads] == ["0", "1"]


def test_a_stream_that_breaks_off_is_an_error_and_no_short_answer(ask: Any) -> None:
    stream = client(ask).chat.completions.create(
        model="gpt-4o-mini", messages=said(ask, "break"), stream=True
    )
    with pytest.raises(openai.APIError):
        list(stream)


def test_cancel(ask: Any) -> None:
    stream = client(ask).chat.completions.create(
        model="gpt-4o-mini", messages=said(ask, "long"), stream=True
    )
    next(iter(stream))
    stream.close()
    assert ask.was_left()


def test_async(ask: Any) -> None:
    async def work() -> None:
        async with openai.AsyncOpenAI(base_url=ask.url, api_key=ask.key) as ours:
            got = await ours.chat.completions.create(model="gpt-4o-mini", messages=said(ask))
            assert got.choices[0].message.content.startswith("The Forth Bridge")
            stream = await ours.chat.completions.create(
                model="gpt-4o-mini", messages=said(ask), stream=True
            )
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            assert text.startswith("The Forth Bridge")
            asking = asyncio.create_task(
                ours.chat.completions.create(
                    model="gpt-4o-mini", messages=said(ask, "long"), stream=True
                )
            )
            async for _ in await asking:
                break

    asyncio.run(work())
    assert ask.was_left()
