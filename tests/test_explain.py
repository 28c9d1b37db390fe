"""What would happen to a request, without sending it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unabridged.explain import NotARequest, explain
from unabridged.policies.asked import NotAllowed
from unabridged.policies.config import Config, Match, Route, Upstream
from unabridged.policies.policy import Policy

CONFIG = Config(
    upstreams={"default": Upstream(url="https://x/v1")},
    routes=(Route(name="rag", match=Match(model="gpt-4o*"), policy="rag"), Route(policy="off")),
    policies={
        "rag": Policy(compressor="extractive", rate=0.5, min_tokens=0, allow=("rate", "question")),
        "off": Policy(compressor="off", allow=()),
    },
)
TEXT = (
    "Document [1] The Forth Bridge was designed by John Fowler. Work began in 1882.\n"
    "Document [2] The Tay Bridge was opened in June 1878. It fell in a storm.\n"
    "Document [3] The Menai Bridge was built by Thomas Telford. It was opened in 1826.\n\n"
    "Question: Who designed the Forth Bridge?"
)


def request(model: str = "gpt-4o-mini", **extra: Any) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": TEXT}], **extra}
    return json.dumps(body)


def test_route_policy_and_what_each_segment_keeps_are_told() -> None:
    told = explain(CONFIG, request())
    assert told.choice.why == "route 1 'rag': model matches 'gpt-4o*'"
    compressed = told.abridged.compressed
    assert sum(compressed.tokens_after) < sum(compressed.tokens_before)
    assert len(compressed.why) == len(compressed.prompt.segments)
    assert all(compressed.why)
    assert {s.kind for s in compressed.prompt.segments} >= {"document", "question"}


def test_with_policy_off_all_is_kept_and_still_split() -> None:
    told = explain(CONFIG, request(model="o3"))
    compressed = told.abridged.compressed
    assert told.choice.policy_name == "off"
    assert compressed.tokens_after == compressed.tokens_before
    assert told.abridged.text == request(model="o3")


def test_what_the_caller_asks_for_in_the_body_counts() -> None:
    told = explain(CONFIG, request(unabridged={"rate": 0.4, "question": "Who built Menai?"}))
    assert told.choice.policy.rate == 0.4
    kept = told.abridged.text
    assert "Thomas Telford" in kept
    assert "John Fowler" not in kept


def test_what_the_caller_may_not_ask_for_is_an_error() -> None:
    with pytest.raises(NotAllowed):
        explain(CONFIG, request(unabridged={"tokens": 5}))
    with pytest.raises(NotAllowed):
        explain(CONFIG, request(), headers={"x-unabridged": "off"})


@pytest.mark.parametrize("body", ["", "hello", "[1]", '"x"'])
def test_what_is_no_request_is_named(body: str) -> None:
    with pytest.raises(NotARequest, match="not a request: "):
        explain(CONFIG, body)
