"""A policy that exists is valid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from unabridged.policies.policy import Keep, Policy, Range, SplitRule


def test_question_instruction_and_history_are_untouched_unless_a_policy_says_so() -> None:
    keep = Policy().keep
    assert (keep.instruction, keep.question, keep.history) == (1.0, 1.0, 1.0)
    assert (keep.document, keep.demonstration, keep.tool_output) == (None, None, None)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_share_is_above_0_and_at_most_1(value: float) -> None:
    if 0 < value <= 1:
        assert Keep(document=value).document == value
    else:
        with pytest.raises(ValidationError):
            Keep(document=value)


def test_rate_and_target_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="set rate or target_tokens, not both"):
        Policy(rate=0.5, target_tokens=10)


def test_a_range_has_one_target_and_its_ends_in_order() -> None:
    assert Range(min_tokens=5, max_tokens=5, rate=1).rate == 1
    with pytest.raises(ValidationError, match="either rate or target_tokens"):
        Range()
    with pytest.raises(ValidationError, match="is below"):
        Range(min_tokens=6, max_tokens=5, rate=1)


def test_a_pattern_must_be_a_regular_expression() -> None:
    with pytest.raises(ValidationError, match="is not a regular expression"):
        SplitRule(kind="document", pattern="(")
