"""The packaged map is read as data, checked, and never silently replaced by nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unabridged.policies.budget import Price as Override
from unabridged.proxy.price import BadPriceMap, Prices, load_prices, packaged

FILLER = {f"m{n}": {"mode": "chat"} for n in range(1000)}


@pytest.fixture(scope="module")
def prices() -> Prices:
    return load_prices()


def of(entry: dict[str, Any], **overrides: Override) -> Prices:
    text = json.dumps({**FILLER, "x": {"mode": "chat", **entry}}).encode()
    return load_prices(overrides, text=text)


def test_prices_are_whole_numbers_of_femto_dollars(prices: Prices) -> None:
    found = prices.get("gpt-4o-mini")
    assert found is not None
    assert found.rate("input") == 150_000_000  # 0.15 dollars for a million tokens
    assert found.rate("output") == 600_000_000
    assert found.rate("cached") == 75_000_000
    assert (found.max_input, found.max_output) == (128_000, 16_384)


def test_an_unknown_model_has_no_price_which_is_not_zero(prices: Prices) -> None:
    """LiteLLM PR #24949, #25874: unknown was taken as 0 and the budget skipped."""
    assert prices.get("my-own-model") is None


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"input_cost_per_token": 1e-6},
        {"input_cost_per_token": None, "output_cost_per_token": None},
        {"input_cost_per_token": "cheap", "output_cost_per_token": 1e-6},
        {"input_cost_per_token": -1e-6, "output_cost_per_token": 1e-6},
        {"input_cost_per_token": True, "output_cost_per_token": 1e-6},
        {"input_cost_per_token": 0.15, "output_cost_per_token": 0.6},
    ],
    ids=["empty", "half", "none", "text", "negative", "boolean", "per thousand"],
)
def test_an_entry_that_cannot_be_trusted_is_unpriced_and_not_free(entry: dict[str, Any]) -> None:
    """LiteLLM PR #36561 (an empty entry became $0), #40741 (None prices)."""
    assert of(entry).get("x") is None


def test_a_model_that_is_free_is_priced_at_zero() -> None:
    """LiteLLM #14004, #10973, #29912: free models were blocked."""
    found = of({"input_cost_per_token": 0, "output_cost_per_token": 0.0}).get("x")
    assert found is not None
    assert found.rate("input") == found.rate("output") == 0


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"a": {}}', b"<html>"])
def test_a_broken_map_is_refused_and_not_fallen_back_from(text: bytes) -> None:
    """LiteLLM, 27 January 2026: malformed JSON, and every proxy went on without prices."""
    with pytest.raises(BadPriceMap):
        load_prices(text=text)


def test_a_long_prompt_has_the_price_of_its_tier(prices: Prices) -> None:
    """LiteLLM PR #40002: the long-context price was ignored, and a cap of $0.45 let $0.60 by."""
    gemini = prices.get("gemini/gemini-2.5-pro")
    assert gemini is not None
    assert gemini.rate("input", prompt_tokens=200_000) == 1_250_000_000
    assert gemini.rate("input", prompt_tokens=200_001) == 2_500_000_000
    assert gemini.rate("output", prompt_tokens=200_001) == 15_000_000_000
    assert gemini.rate("input", prompt_tokens=200_001, tier="priority") == 4_500_000_000


def test_both_ways_of_writing_tiers_are_read(prices: Prices) -> None:
    flash = prices.get("dashscope/qwen-flash")
    assert flash is not None
    assert flash.rate("input", prompt_tokens=1000) == 50_000_000
    assert flash.rate("input", prompt_tokens=300_000) == 250_000_000


def test_service_tiers_have_their_price_and_else_the_standard_one(prices: Prices) -> None:
    gpt = prices.get("gpt-5")
    assert gpt is not None
    assert gpt.rate("input", tier="priority") == 2 * gpt.rate("input")
    assert gpt.rate("input", tier="flex") * 2 == gpt.rate("input")
    assert gpt.rate("input", tier="balanced") == gpt.rate("input")


def test_kinds_without_a_price_fall_back_to_the_kind_they_are_part_of() -> None:
    found = of({"input_cost_per_token": 2e-6, "output_cost_per_token": 8e-6}).get("x")
    assert found is not None
    for kind in ("cached", "cache_write", "cache_write_1h", "input_audio"):
        assert found.rate(kind) == found.rate("input")
    for kind in ("reasoning", "output_audio"):
        assert found.rate(kind) == found.rate("output")


def test_the_name_is_tried_with_the_upstreams_provider_and_without_its_date(
    prices: Prices,
) -> None:
    found = prices.get("gemini-2.5-pro", "https://generativelanguage.googleapis.com/v1beta/openai")
    assert found is not None
    assert found.model == "gemini/gemini-2.5-pro"
    dated = prices.get("gpt-4o-mini-2031-01-01")
    assert dated is not None
    assert dated.model == "gpt-4o-mini"


def test_an_override_goes_first_and_changes_the_version(prices: Prices) -> None:
    own = Override(input=Decimal("0.10"), output=Decimal("0.4"), cached=Decimal("0.01"))
    found = load_prices({"gpt-4o-mini": own, "my-own": own})
    price, mine = found.get("gpt-4o-mini"), found.get("my-own")
    assert price is not None
    assert mine is not None
    assert price.rate("input") == mine.rate("input") == 100_000_000
    assert price.rate("cached") == 10_000_000
    assert price.max_output == 16_384
    assert mine.max_output is None
    assert found.version != prices.version
    assert price.version == found.version


def test_the_version_is_that_of_the_content() -> None:
    assert load_prices().version == load_prices().version
    assert len(load_prices().version) == 12


def test_the_worst_price_is_above_that_of_the_dearest_known_models(prices: Prices) -> None:
    worst = prices.worst()
    for model in ("gpt-4o", "gpt-5", "claude-sonnet-4-5"):
        known = prices.get(model)
        assert known is not None
        assert worst.rate("input") >= known.rate("input")


def test_litellm_is_not_imported() -> None:
    code = (
        "import sys; from unabridged.proxy.price import load_prices; load_prices();"
        "assert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_model_of_the_map_can_be_read(prices: Prices) -> None:
    names = json.loads(packaged())
    priced = [name for name in names if prices.get(name)]
    assert len(priced) > 3000
    for name in priced:
        price = prices.get(name)
        assert price is not None
        assert all(isinstance(rate, int) and rate >= 0 for rate in price.rates.values())


@settings(max_examples=25)
@given(st.decimals(min_value=0, max_value=1000, places=6))
def test_a_price_a_million_is_never_rounded_down(dollars: Decimal) -> None:
    found = of({}, x=Override(input=dollars, output=dollars)).get("x")
    assert found is not None
    assert found.rate("input") == dollars * 10**9
