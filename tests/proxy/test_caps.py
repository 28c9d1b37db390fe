"""A caller's cap is met by compressing, or the request is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from unabridged.policies.asked import BadAsk
from unabridged.policies.budget import Price as Override
from unabridged.policies.choose import Choice
from unabridged.policies.config import Upstream
from unabridged.policies.policy import Policy, Range
from unabridged.proxy.caps import MAX_COST, MAX_TOKENS, Caps, squeezed
from unabridged.proxy.estimate import Wanted
from unabridged.proxy.price import Price, load_prices
from unabridged.proxy.refusal import OverCap, Unpriced

OWN = load_prices({"own": Override(input=Decimal(2), output=Decimal(8))}).get("own")
WANTED = Wanted(input_tokens=1000, max_output=100)  # 2,000 + 800 millionths of a dollar


def room(caps: Caps, price: Price | None = OWN) -> int | None:
    return caps.room(WANTED, price, "own", None)


def test_both_headers_are_read() -> None:
    caps = Caps.parse({MAX_COST: "$0.05", MAX_TOKENS: "500"})
    assert caps == Caps(nano_usd=50_000_000, prompt_tokens=500)
    assert caps
    assert not Caps.parse({})


@pytest.mark.parametrize(
    "headers",
    [
        {MAX_COST: "cheap"},
        {MAX_COST: "-1"},
        {MAX_COST: "nan"},
        {MAX_COST: "1e9"},
        {MAX_TOKENS: "0"},
        {MAX_TOKENS: "1.5"},
        {MAX_TOKENS: "٣"},
        {MAX_TOKENS: "9" * 30},
        {MAX_TOKENS: "9" * 5000},
    ],
)
def test_a_cap_that_makes_no_sense_is_refused_by_name(headers: dict[str, str]) -> None:
    with pytest.raises(BadAsk, match="header x-unabridged-max-"):
        Caps.parse(headers)


def test_a_request_within_its_caps_is_left_alone() -> None:
    assert room(Caps()) is None
    assert room(Caps(prompt_tokens=1000)) is None
    assert room(Caps(nano_usd=2_800_000)) is None


def test_the_smaller_of_two_caps_counts() -> None:
    assert room(Caps(prompt_tokens=600)) == 600
    assert room(Caps(nano_usd=1_800_000)) == 500
    assert room(Caps(nano_usd=1_800_000, prompt_tokens=600)) == 500
    assert room(Caps(nano_usd=1_800_000, prompt_tokens=400)) == 400


def test_an_answer_that_alone_costs_too_much_is_refused() -> None:
    with pytest.raises(OverCap, match=r"allows \$0.0007"):
        room(Caps(nano_usd=700_000))


def test_a_cost_cap_needs_a_price() -> None:
    with pytest.raises(Unpriced, match=MAX_COST):
        room(Caps(nano_usd=1), price=None)
    assert room(Caps(prompt_tokens=5), price=None) == 5


def test_what_still_does_not_fit_is_refused_with_both_numbers() -> None:
    error = Caps(prompt_tokens=600).refuse(WANTED, 600)
    assert error.metadata == {
        "header": MAX_TOKENS,
        "cap": "600 prompt tokens",
        "needs": "1000 prompt tokens",
    }
    assert Caps(nano_usd=1_800_000).refuse(WANTED, 500).metadata["header"] == MAX_COST


def test_squeezing_sets_the_target_whatever_the_policy_wants() -> None:
    policy = Policy(compressor="off", ranges=(Range(rate=0.9),), min_tokens=5000)
    choice = Choice(
        route="r",
        policy_name="off",
        policy=policy,
        upstream_name="default",
        upstream=Upstream(url="http://x"),
        why="w",
    )
    found = squeezed(choice, 500)
    assert (found.policy.compressor, found.policy.target_tokens) == ("auto", 500)
    assert (found.policy.ranges, found.policy.min_tokens) == ((), 0)
    assert found.why.endswith("the caller's cap leaves 500 tokens")
