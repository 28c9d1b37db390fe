"""A budget says who is counted where, and what happens on the way to its limit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.policies.budget import NANO, Budget, Scopes, Step
from unabridged.policies.load import parse, schema
from unabridged.policies.problem import ConfigError

ALICE = Scopes(org="acme", team="research", user="alice", key="ci", route="rag", model="gpt-4o")
BUILT = ("off", "auto", "extractive", "lossless", "llmlingua")


def loaded(lines: str) -> Budget:
    text = f"upstreams: {{default: {{url: http://x}}}}\nbudgets:\n- {lines}\n"
    return parse(text, "u.yaml", compressors=BUILT).budgets[0]


def problem(lines: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(lines)
    return str(caught.value.problems[0])


def test_a_limit_is_exact_to_the_nano_dollar() -> None:
    assert loaded("{name: a, limit: 0.1}").amount == NANO // 10
    assert loaded("{name: a, limit: '12.000000001'}").amount == 12 * NANO + 1
    assert loaded("{name: a, limit: 1000, unit: tokens}").amount == 1000


@given(st.integers(0, 10**15))
def test_every_amount_of_nano_dollars_can_be_written(nano: int) -> None:
    assert Budget(name="a", limit=Decimal(nano) / NANO).amount == nano


def test_steps_rise_and_the_last_one_reached_counts() -> None:
    budget = loaded(
        "{name: a, limit: 10, at: {95%: {rate: 0.25, model: small}, 80%: {rate: 0.4}, 70%: warn,"
        " 100%: refuse}}"
    )
    assert [share for _, share, _ in budget.steps] == ["70%", "80%", "95%", "100%"]
    assert budget.step(6_999_999_999) is None
    assert budget.step(7 * NANO) == ("70%", Step(do="warn"))
    assert budget.step(8 * NANO) == ("80%", Step(rate=0.4))
    assert budget.step(99 * NANO) == ("100%", Step(do="refuse"))
    assert budget.refuses_above == 10 * NANO


def test_without_a_word_a_budget_refuses_at_its_limit() -> None:
    assert loaded("{name: a, limit: 10}").refuses_above == 10 * NANO


def test_a_budget_that_does_not_say_refuse_refuses_nothing() -> None:
    assert loaded("{name: a, limit: 10, at: {100%: warn}}").refuses_above is None


def test_refusing_can_begin_before_the_limit() -> None:
    assert loaded("{name: a, limit: 10, at: {90%: refuse}}").refuses_above == 9 * NANO


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ("{}", True),
        ("{team: research, user: alice}", True),
        ("{model: gpt-*}", True),
        ("{team: Research}", False),
        ("{org: other}", False),
        ("{route: rag*, key: ci}", True),
    ],
)
def test_all_that_is_written_must_fit(match: str, fits: bool) -> None:
    assert loaded(f"{{name: a, limit: 1, match: {match}}}").applies(ALICE) is fits


def test_who_has_no_team_is_not_in_any() -> None:
    assert not loaded("{name: a, limit: 1, match: {team: '*'}}").applies(Scopes(org="acme"))


def test_who_has_no_name_shares_one_counter_with_all_who_have_none() -> None:
    budget = loaded("{name: a, limit: 1, each: user}")
    assert budget.applies(Scopes(org="acme"))
    assert budget.subject(Scopes(org="acme")) == ""
    assert budget.subject(ALICE) == "alice"
    assert loaded("{name: a, limit: 1}").subject(ALICE) == ""


def test_limits_and_steps_can_change_without_a_new_counter() -> None:
    budget = Budget(name="a", limit=Decimal(1))
    assert budget.model_copy(update={"limit": Decimal(2)}).identity == budget.identity
    assert budget.model_copy(update={"at": {}}).identity == budget.identity
    for change in ({"each": "user"}, {"window": "day"}, {"unit": "tokens"}, {"name": "b"}):
        assert budget.model_copy(update=change).identity != budget.identity


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("{name: a}", "budgets[0]: key 'limit' is missing"),
        ("{name: a, limit: -1}", "budgets[0].limit: must be >= 0, not -1"),
        ("{name: a, limit: 0.0000000001}", "nine decimals at most"),
        ("{name: a, limit: 10000000000}", "is above 10000000000"),
        ("{name: a, limit: 1.5, unit: requests}", "a whole number at most"),
        ("{name: a, limit: 1, at: {80: warn}}", "a share of the budget is written such as 80%"),
        ("{name: a, limit: 1, at: {80%: warm}}", "did you mean 'warn'?"),
        ("{name: a, limit: 1, at: {80%: {rat: 0.5}}}", "did you mean 'rate'?"),
        ("{name: a, limit: 1, at: {80%: {rate: 2}}}", "must be > 0 and <= 1, not 2"),
        ("{name: a, limit: 1, at: {80%: {}}}", "a step is warn, refuse, or names"),
        ("{name: a, limit: 1, at: {80%: {policy: autp}}}", "did you mean 'auto'?"),
        ("{name: a, limit: 1, at: {80%: {compressor: nix}}}", "unknown compressor 'nix'"),
        ("{name: a, limit: 1, time_zone: Mars}", "unknown time zone 'Mars'"),
        ("{name: a, limit: 1}\n- {name: a, limit: 1}", "two budgets are named 'a'"),
    ],
)
def test_a_mistake_is_named_with_its_place(lines: str, said: str) -> None:
    found = problem(lines)
    assert said in found
    assert found.startswith("u.yaml:3:") or "two budgets" in found


def test_editors_know_that_a_step_may_be_a_word() -> None:
    options: list[dict[str, Any]] = schema()["$defs"]["Step"]["anyOf"]
    assert options[1] == {"type": "string", "enum": ["warn", "refuse"]}


def test_scopes_are_told_by_name() -> None:
    assert ALICE.get("team") == "research"
    assert replace(ALICE, team=None).get("team") is None
