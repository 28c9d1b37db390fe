"""The estimate is never below what the request then costs."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.policies.budget import Price as Override
from unabridged.proxy.estimate import DEFAULT_OUTPUT, Wanted, estimate, prompt_tokens_for, wanted
from unabridged.proxy.price import Price, load_prices
from unabridged.proxy.usage import Used, cost

PRICES = load_prices({"own": Override(input=Decimal(2), output=Decimal(8))})
MODELS = ["gpt-4o", "gpt-5", "gemini/gemini-2.5-pro", "claude-sonnet-4-5", "own"]


def price(model: str) -> Price:
    found = PRICES.get(model)
    assert found is not None
    return found


def words(text: str) -> int:
    return len(text.split())


def read(body: dict[str, Any], texts: int = 100) -> Wanted:
    return wanted(body, texts=texts, count=words)


def test_the_answer_is_taken_as_long_as_the_request_allows() -> None:
    body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 50}
    found = estimate(price("own"), read(body))
    assert found.output_tokens == 50
    assert found.nano_usd == found.input_tokens * 2000 + 50 * 8000


def test_without_a_limit_it_is_as_long_as_the_model_can_make_it() -> None:
    assert estimate(price("gpt-4o"), Wanted(input_tokens=1)).output_tokens == 16_384
    assert estimate(price("gpt-5"), Wanted(input_tokens=1)).output_tokens == 128_000
    assert estimate(price("own"), Wanted(input_tokens=1)).output_tokens == DEFAULT_OUTPUT
    found = estimate(price("gpt-5"), Wanted(input_tokens=1), default_output=2000)
    assert found.output_tokens == 2000


def test_a_limit_above_what_the_model_can_do_is_cut_to_it() -> None:
    asked = Wanted(input_tokens=1, max_output=10**9)
    assert estimate(price("gpt-4o"), asked).output_tokens == 16_384


def test_n_answers_cost_n_times_the_output() -> None:
    """GATEWAYS: n above one was under-reserved."""
    body = {"messages": [], "max_tokens": 50, "n": 4}
    assert estimate(price("own"), read(body)).output_tokens == 200
    assert read({"best_of": 3, "n": 2}).answers == 3


def test_an_unknown_price_is_none_and_not_zero() -> None:
    assert estimate(None, Wanted(input_tokens=10)).nano_usd is None


def test_the_long_context_price_is_reserved() -> None:
    """LiteLLM PR #40002."""
    gemini = price("gemini/gemini-2.5-pro")
    found = estimate(gemini, Wanted(input_tokens=200_001, max_output=10))
    assert found.nano_usd == 200_001 * 2500 + 10 * 15_000


def test_priority_costs_more_and_is_reserved_so() -> None:
    gpt = price("gpt-5")
    plain = estimate(gpt, read({"max_tokens": 10})).nano_usd
    fast = estimate(gpt, read({"max_tokens": 10, "service_tier": "priority"})).nano_usd
    assert plain is not None
    assert fast == 2 * plain


def test_marked_caching_is_reserved_at_the_price_of_writing() -> None:
    claude = price("claude-sonnet-4-5")
    part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    body = {"messages": [{"role": "user", "content": [part]}], "max_tokens": 1}
    marked = read(body)
    assert marked.writes_cache
    found = estimate(claude, marked)
    assert found.nano_usd == marked.input_tokens * 6000 + 15_000


def test_a_search_of_the_web_is_reserved_too() -> None:
    gpt = price("gpt-5")
    plain = estimate(gpt, read({"max_tokens": 1})).nano_usd
    search = estimate(gpt, read({"max_tokens": 1, "web_search_options": {"a": 1}})).nano_usd
    assert plain is not None
    assert search == plain + 10_000_000


@pytest.mark.parametrize(
    "body",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": {"id": "conv_1"}},
        {"prompt": {"id": "pmpt_1", "variables": {}}},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
    ],
    ids=str,
)
def test_a_prompt_that_the_provider_holds_is_reserved_as_long_as_it_may_be(
    body: dict[str, Any],
) -> None:
    asked = read({"max_output_tokens": 7, **body})
    found = estimate(price("gpt-4o"), asked)
    most = price("gpt-4o").max_input
    assert most == 128_000
    assert found.input_tokens == most
    assert found.tokens == most + 7
    assert found.nano_usd == most * 2500 + 7 * 10_000
    assert estimate(price("own"), asked).input_tokens == asked.input_tokens  # nobody knows its most


def test_tools_schemas_and_calls_are_part_of_the_prompt() -> None:
    plain = read({"messages": [{"role": "user", "content": "x"}]})
    call = {"id": "1", "function": {"name": "f", "arguments": "a b c"}}
    body = {
        "messages": [{"role": "assistant", "tool_calls": [call]}],
        "tools": [{"type": "function", "function": {"name": "look up the weather"}}],
    }
    assert read(body).input_tokens > plain.input_tokens + words(json.dumps(body["tools"]))


def test_pictures_and_sound_are_not_free() -> None:
    content = [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "A" * 100_000}},
    ]
    assert read({"messages": [{"role": "user", "content": content}]}).input_tokens > 4000


@pytest.mark.parametrize("value", ["5", -3, True, None, 1.5, []])
def test_a_limit_that_makes_no_sense_is_no_limit(value: Any) -> None:
    assert read({"max_tokens": value, "n": value, "messages": "none"}).max_output is None


@given(
    st.sampled_from(MODELS),
    st.integers(0, 400_000),
    st.integers(0, 5000),
    st.integers(1, 4),
    st.data(),
)
def test_no_request_costs_more_than_was_estimated(
    model: str, prompt: int, output: int, answers: int, data: st.DataObject
) -> None:
    asked = Wanted(input_tokens=prompt, max_output=output, answers=answers)
    found = estimate(price(model), asked)
    cached = data.draw(st.integers(0, prompt))
    answered = data.draw(st.integers(0, found.output_tokens))
    came = Used(
        input=prompt,
        output=answered,
        cached=cached,
        reasoning=data.draw(st.integers(0, answered)),
    )
    assert found.nano_usd is not None
    assert cost(price(model), came) <= found.nano_usd


@given(st.sampled_from(MODELS), st.integers(0, 400_000), st.integers(0, 10**9))
def test_the_longest_prompt_that_fits_fits_and_one_more_token_does_not(
    model: str, prompt: int, cap: int
) -> None:
    asked = Wanted(input_tokens=prompt, max_output=100)
    found = prompt_tokens_for(price(model), asked, cap)

    def costs(tokens: int) -> int:
        nano = estimate(price(model), asked.cut_to(tokens)).nano_usd
        assert nano is not None
        return nano

    if found is None:
        assert costs(0) > cap
    else:
        assert costs(found) <= cap
        assert found == prompt or costs(found + 1) > cap
