"""The same question is asked twice, raw and compressed, and both are paid for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Proxy
from fake_upstream import FakeUpstream
from page_client import PATIENT, PROMPT, client, shaped

from unabridged.proxy.comparison import body_of
from unabridged.proxy.page_answers import Question

ASKED = {
    "text": PROMPT, "compressor": "extractive", "rate": 0.3, "upstream": "default", "model": "m",
}  # fmt: skip


def ask(proxy: Proxy, **fields: Any) -> Any:
    with client(proxy) as page:
        return page.post("/playground/ask", json={**ASKED, **fields})


def test_both_answers_come_back(serve: Callable[..., Proxy], upstream: FakeUpstream) -> None:
    found = shaped("Comparison", ask(serve(), key="sk-own"))
    assert found["raw"]["ok"] and found["compressed"]["ok"]
    assert found["raw"]["text"] == found["raw"]["restored"] != ""
    sent = [request.json for request in upstream.seen]
    assert [len(body["messages"][0]["content"]) for body in sent] == [
        len(PROMPT),
        len(found["trial"]["compressed"]),
    ]
    assert [r.header("authorization") for r in upstream.seen] == ["Bearer sk-own"] * 2


def test_a_budget_stops_the_playground_too(
    serve: Callable[..., Proxy], upstream: FakeUpstream
) -> None:
    proxy = serve(
        budgets=[{"name": "b", "window": "day", "unit": "requests", "limit": 1}], **PATIENT
    )
    found = shaped("Comparison", ask(proxy))
    assert found["raw"]["ok"]
    assert not found["compressed"]["ok"]
    assert "budget 'b'" in found["compressed"]["error"]


@pytest.mark.parametrize(
    ("fields", "said"), [({"upstream": "nix"}, "unknown upstream"), ({"model": None}, "model")]
)
def test_what_cannot_be_asked_is_named(
    serve: Callable[..., Proxy], fields: dict[str, Any], said: str
) -> None:
    answer = ask(serve(), **fields)
    assert (answer.status_code, said in answer.text) == (400, True)


def test_a_text_becomes_a_message_with_the_question_behind_it() -> None:
    question = Question(text="facts", question="Why?", upstream="u", model="m", max_tokens=9)
    assert json.loads(body_of(question, "facts", "m")) == {
        "messages": [{"role": "user", "content": "facts\n\nWhy?"}],
        "max_tokens": 9,
        "model": "m",
    }


def test_a_body_keeps_what_it_says_but_for_streaming() -> None:
    question = Question(text="x", upstream="u", model="m")
    body = {"messages": [], "temperature": 0, "stream": True, "max_completion_tokens": 5}
    assert json.loads(body_of(question, json.dumps(body), "m")) == {
        "messages": [], "temperature": 0, "max_completion_tokens": 5, "model": "m",
    }  # fmt: skip
