"""What a caller may choose for one request."""

from __future__ import annotations

from typing import Any

import pytest

from unabridged.policies.asked import Asked, BadAsk, NotAllowed, UnknownPolicy, apply
from unabridged.policies.choose import Choice, Facts, choose
from unabridged.policies.config import Config, Route, Upstream
from unabridged.policies.policy import Policy, Range


def config(**policies: Policy) -> Config:
    return Config(
        upstreams={"default": Upstream(url="https://x/v1")},
        routes=(Route(policy="base"),),
        policies={"off": Policy(compressor="off"), **policies},
    )


def after(cfg: Config, headers: dict[str, str] | None = None, extra: Any = None) -> Choice:
    choice = choose(cfg, Facts(path="/v1/chat/completions"))
    return apply(choice, cfg, Asked.parse(headers or {}, extra))


def test_who_asks_for_nothing_gets_the_choice_of_the_route() -> None:
    cfg = config(base=Policy(rate=0.5))
    assert after(cfg) == choose(cfg, Facts(path="/v1/chat/completions"))


def test_a_header_names_a_policy() -> None:
    choice = after(config(base=Policy(), rag=Policy(rate=0.2)), {"X-Unabridged-Policy": " rag "})
    assert (choice.policy_name, choice.policy.rate) == ("rag", 0.2)
    assert choice.why.endswith("the caller asks for policy 'rag'")


def test_the_body_wins_over_the_header() -> None:
    cfg = config(base=Policy(), rag=Policy(rate=0.2), fast=Policy(rate=0.9))
    choice = after(cfg, {"x-unabridged-policy": "rag"}, {"policy": "fast"})
    assert choice.policy_name == "fast"


@pytest.mark.parametrize(
    ("headers", "extra"), [({"X-Unabridged": "Off"}, None), ({}, {"off": True})]
)
def test_header_or_body_can_say_off(headers: dict[str, str], extra: Any) -> None:
    choice = after(config(base=Policy(rate=0.5)), headers, extra)
    assert choice.policy.compressor == "off"
    assert choice.why == "the caller said off"


def test_a_rate_replaces_target_and_ranges() -> None:
    base = Policy(target_tokens=9, ranges=(Range(rate=0.1),))
    policy = after(config(base=base), extra={"rate": 0.25}).policy
    assert (policy.rate, policy.target_tokens, policy.ranges) == (0.25, None, ())


def test_tokens_replace_rate_and_ranges() -> None:
    base = Policy(rate=0.5, ranges=(Range(rate=0.1),))
    policy = after(config(base=base), extra={"tokens": 500}).policy
    assert (policy.rate, policy.target_tokens, policy.ranges) == (None, 500, ())


def test_a_question_is_handed_on_and_not_shown_in_the_reason() -> None:
    choice = after(config(base=Policy()), extra={"question": "왜 하늘은 파란가?"})
    assert choice.question == "왜 하늘은 파란가?"
    assert "하늘" not in choice.why


@pytest.mark.parametrize(
    ("headers", "extra", "said"),
    [
        ({"x-unabridged": "on"}, None, "header x-unabridged must be 'off', not 'on'"),
        ({}, [1], "unabridged: must be an object, not a list"),
        ({}, {"rate": 2}, "unabridged.rate: must be > 0 and <= 1, not 2"),
        ({}, {"rate": True}, "unabridged.rate: must be > 0 and <= 1, not true"),
        ({}, {"tokens": "5"}, "unabridged.tokens: must be a whole number >= 1, not '5'"),
        ({}, {"off": "yes"}, "unabridged.off: must be true or false, not 'yes'"),
        ({}, {"polic": "x"}, "unabridged: unknown key 'polic'; did you mean 'policy'?"),
        ({}, {"rate": 0.5, "tokens": 5}, "unabridged: set rate or tokens, not both"),
    ],
)
def test_what_cannot_be_understood_is_named(headers: dict[str, str], extra: Any, said: str) -> None:
    with pytest.raises(BadAsk) as caught:
        Asked.parse(headers, extra)
    assert str(caught.value) == said


def test_prompt_text_is_never_part_of_an_error() -> None:
    with pytest.raises(BadAsk) as caught:
        Asked.parse({}, {"question": ["my secret question"]})
    assert str(caught.value) == "unabridged.question: must be a text"


def test_an_unknown_policy_names_the_nearest_one() -> None:
    with pytest.raises(UnknownPolicy, match=r"unknown policy 'rgx'; did you mean 'rag'\?"):
        after(config(base=Policy(), rag=Policy()), extra={"policy": "rgx"})


@pytest.mark.parametrize(
    ("allow", "extra"),
    [
        (("rate",), {"policy": "rag"}),
        (("rate",), {"off": True}),
        (("tokens",), {"rate": 0.5}),
        (("rate",), {"tokens": 5}),
        (("rate",), {"question": "?"}),
        (("policy",), {"policy": "off"}),
        ((), {"rate": 0.5}),
    ],
)
def test_what_the_policy_does_not_allow_is_refused(allow: Any, extra: Any) -> None:
    with pytest.raises(NotAllowed, match=r"policies\.base\.allow in the configuration"):
        after(config(base=Policy(allow=allow), rag=Policy()), extra=extra)


def test_a_change_of_policy_opens_no_closed_door() -> None:
    """Else a caller who may not set the rate would switch to a policy where all may."""
    cfg = config(base=Policy(allow=("policy",)), open=Policy())
    assert after(cfg, extra={"policy": "open"}).policy_name == "open"
    with pytest.raises(NotAllowed, match="policy 'base' does not let a caller choose 'rate'"):
        after(cfg, extra={"policy": "open", "rate": 0.9})


def test_the_new_policy_must_allow_it_too() -> None:
    cfg = config(base=Policy(), closed=Policy(allow=()))
    with pytest.raises(NotAllowed, match="policy 'closed' does not let a caller choose 'rate'"):
        after(cfg, extra={"policy": "closed", "rate": 0.9})


def test_whoever_may_choose_off_may_name_the_policy_off() -> None:
    assert after(config(base=Policy()), extra={"policy": "off"}).policy.compressor == "off"
