"""Usage is billed as the upstream says, each token once and at the price of its kind."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.policies.budget import Price as Override
from unabridged.proxy.price import Price, load_prices
from unabridged.proxy.usage import Used, cost, saved, tier, used

OWN = Override(
    input=Decimal(2),
    output=Decimal(8),
    cached=Decimal("0.5"),
    cache_write=Decimal("2.5"),
    reasoning=Decimal(10),
)
PRICES = load_prices({"own": OWN, "flat": Override(input=Decimal(1), output=Decimal(1))})


def price(model: str = "own") -> Price:
    found = PRICES.get(model)
    assert found is not None
    return found


def test_each_kind_of_token_has_its_price() -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 500,
        "total_tokens": 1500,
        "prompt_tokens_details": {"cached_tokens": 600, "cache_creation_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 200},
    }
    found = used(usage)
    assert found == Used(input=1000, output=500, cached=600, cache_write=100, reasoning=200)
    micro = 300 * 2 + 600 * 0.5 + 100 * 2.5 + 300 * 8 + 200 * 10
    assert cost(price(), found) == int(micro * 1000)


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        ({"input_tokens": 5, "output_tokens": 3}, Used(input=5, output=3)),
        (
            {"input_tokens": 9, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 4}},
            Used(input=9, output=3, cached=4),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8},
            Used(input=9, output=1, cached=8),
        ),
        ({"prompt_tokens": 7, "total_tokens": 7}, Used(input=7, output=0)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 45,
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Used(input=10, output=35, reasoning=30),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": None},
            Used(input=10, output=5),
        ),
    ],
    ids=["responses", "cached", "deepseek", "embedding", "reasoning beside", "null details"],
)
def test_the_dialects_of_usage_are_understood(usage: dict[str, Any], wanted: Used) -> None:
    assert used(usage) == wanted


@pytest.mark.parametrize(
    "usage",
    [None, [], "12", {}, {"prompt_tokens": -1}, {"prompt_tokens": "12"}, {"prompt_tokens": True}],
)
def test_what_is_no_usage_is_none_and_not_zero(usage: Any) -> None:
    assert used(usage) is None


def test_a_usage_of_zeros_costs_nothing() -> None:
    """LiteLLM #37992: an explicit zero was billed as the estimate."""
    found = used({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
    assert found is not None
    assert cost(price(), found) == 0


def test_parts_that_exceed_their_whole_are_cut_to_it() -> None:
    found = used({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 99}})
    assert found is not None
    assert found.cached == 10


def test_a_long_prompt_is_billed_whole_at_the_long_price() -> None:
    gemini = price("gemini/gemini-2.5-pro")
    assert cost(gemini, Used(input=200_000, output=0)) == 200_000 * 1250
    assert cost(gemini, Used(input=200_001, output=10)) == 200_001 * 2500 + 10 * 15_000


def test_the_tier_that_served_it_is_the_one_billed() -> None:
    assert tier("priority") == "priority"
    assert tier("batch") == "batches"
    assert tier("default") == tier("auto") == tier(None) == tier(3) == ""
    gpt = price("gpt-5")
    asked = Used(input=1000, output=100)
    assert cost(gpt, asked, tier="priority") == 2 * cost(gpt, asked)


def test_savings_are_the_difference_of_two_costs() -> None:
    assert saved(price(), 1000, Used(input=500, output=100, cached=200)) == 1000 * 2000
    gemini = price("gemini/gemini-2.5-pro")
    gained = saved(gemini, 100_000, Used(input=150_000, output=1000))
    assert gained == 250_000 * 2500 + 1000 * 15_000 - 150_000 * 1250 - 1000 * 10_000


def test_a_cut_that_costs_the_providers_discount_saves_less_than_nothing() -> None:
    """Headroom #2438: 2000 tokens that were cached are sent as 1500 that are not."""
    sent = Used(input=1500, output=100)
    assert saved(price(), 500, sent, uncut_cached=2000) < 0
    assert saved(price(), 500, sent, uncut_cached=0) == 500 * 2000
    written = Used(input=1500, output=100, cached=500, cache_write=1000)
    longer = Used(input=2000, output=100, cached=1000, cache_write=1000)
    assert saved(price(), 500, written, uncut_cached=1000) == cost(price(), longer) - cost(
        price(), written
    )


counts = st.integers(0, 10**6)


@given(counts, counts, counts, counts, counts)
def test_no_token_is_billed_twice_or_left_out(
    whole: int, output: int, cached: int, written: int, reasoning: int
) -> None:
    found = used(
        {
            "prompt_tokens": whole,
            "completion_tokens": output,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_creation_tokens": written},
            "completion_tokens_details": {"reasoning_tokens": min(reasoning, output)},
        }
    )
    assert found is not None
    assert cost(price("flat"), found) == (whole + output) * 1000
