"""A budget that runs low tightens the policy, and never loosens it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from unabridged.policies.budget import Step
from unabridged.policies.choose import Choice, Facts, choose
from unabridged.policies.config import Config, Upstream
from unabridged.policies.policy import Policy, Range
from unabridged.policies.tighten import InForce, model_for, tighten

POLICIES = {
    "auto": Policy(rate=0.5),
    "off": Policy(compressor="off"),
    "tokens": Policy(target_tokens=500),
    "tight": Policy(rate=0.2, compressor="extractive"),
}
CONFIG = Config(upstreams={"default": Upstream(url="http://x")}, policies=POLICIES)


def choice(policy: Policy) -> Choice:
    found = choose(CONFIG, Facts(path="/v1/chat/completions"))
    return replace(found, policy=policy, policy_name="own")


def step(share: str = "80%", **fields: Any) -> InForce:
    return InForce(budget="research", share=share, step=Step(**fields))


def test_a_smaller_rate_takes_the_place_of_a_larger_one() -> None:
    found = tighten(choice(Policy(rate=0.5)), CONFIG, [step(rate=0.4)])
    assert found.policy.rate == 0.4
    assert "budget 'research' is used to 80%" in found.why


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_step_never_loosens(own: float, first: float, second: float) -> None:
    policy = Policy(rate=own, ranges=(Range(rate=own), Range(target_tokens=9)))
    found = tighten(choice(policy), CONFIG, [step(rate=first), step("90%", rate=second)])
    assert found.policy.rate == min(own, first, second)
    assert found.policy.ranges[0].rate == min(own, first, second)
    assert found.policy.ranges[1].target_tokens == 9


def test_a_target_in_tokens_is_left() -> None:
    found = tighten(choice(Policy(target_tokens=500)), CONFIG, [step(rate=0.1)])
    assert (found.policy.target_tokens, found.policy.rate) == (500, None)


def test_a_rate_turns_compression_on_where_it_was_off() -> None:
    found = tighten(choice(Policy(compressor="off")), CONFIG, [step(rate=0.4)])
    assert (found.policy.compressor, found.policy.rate) == ("auto", 0.4)


def test_another_policy_and_compressor_can_be_named() -> None:
    found = tighten(choice(Policy(rate=0.5)), CONFIG, [step(policy="tight")])
    assert (found.policy_name, found.policy) == ("tight", POLICIES["tight"])
    found = tighten(choice(Policy(rate=0.5)), CONFIG, [step(compressor="lossless")])
    assert found.policy.compressor == "lossless"


def test_warnings_change_nothing() -> None:
    before = choice(Policy(rate=0.5))
    assert tighten(before, CONFIG, [step(do="warn")]) == before


def test_the_strongest_step_names_the_model() -> None:
    steps = [step(rate=0.4), step("90%", model="small"), step("95%", rate=0.2)]
    assert model_for("large", steps) == "small"
    assert model_for("large", steps[:1]) == "large"
