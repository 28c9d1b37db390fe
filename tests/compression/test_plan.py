"""Every turn has its budget, which nothing behind it can change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.plan import DEFAULT_RATE, Grant, Plan, allot
from unabridged.compression.prompt import Prompt, Segment, Where
from unabridged.policies.policy import Keep, Kind, Policy, Range

WHERE = Where(path=("messages", 0, "content"), start=0)


def by_characters(text: str) -> int:
    return len(text)


def prompt(*parts: tuple[Any, ...]) -> Prompt:
    """Each part: kind, tokens, and perhaps turn and further fields."""
    return Prompt(
        body="",
        segments=tuple(
            Segment(
                kind=part[0], text="x" * part[1], where=WHERE,
                turn=part[2] if len(part) > 2 else 0, **(part[3] if len(part) > 3 else {}),
            )
            for part in parts
        ),
    )  # fmt: skip


def plan(parts: Prompt, **policy: Any) -> Plan:
    return allot(
        parts, Policy(**{"compressor": "extractive", "min_tokens": 0, **policy}), by_characters
    )


RAG = prompt(("instruction", 100), ("document", 300), ("document", 500), ("question", 100))


def test_a_rate_is_a_share_of_all_tokens_and_documents_bear_it():
    found = plan(RAG, rate=0.5)
    assert [(g.kind, g.segments, g.before, g.tokens) for g in found.grants] == [
        ("document", (1, 2), 800, 300)
    ]
    assert found.asked == 500
    assert found.counts == (100, 300, 500, 100)
    assert [found.asked_of(i) for i in range(4)] == [100, 112, 188, 100]


def test_a_target_is_that_of_the_whole_prompt():
    assert plan(RAG, target_tokens=400).grants[0].tokens == 200


def test_without_rate_or_target_the_default_rate_counts():
    assert plan(RAG).asked == 1000 * DEFAULT_RATE


def test_kinds_without_a_share_bear_the_cut_in_proportion():
    parts = prompt(("demonstration", 200), ("document", 600), ("question", 200))
    assert {g.kind: g.tokens for g in plan(parts, rate=0.6).grants} == {
        "demonstration": 100,
        "document": 300,
    }


def test_a_kind_with_its_own_share_gets_it_whatever_the_rate():
    parts = prompt(("history", 200), ("document", 600), ("question", 200))
    found = plan(parts, rate=0.5, keep=Keep(history=0.25))
    assert {g.kind: g.tokens for g in found.grants} == {"history": 50, "document": 250}


def test_protected_and_format_segments_are_in_no_grant():
    parts = prompt(("format", 100), ("document", 400, 0, {"protected": True}), ("document", 500))
    assert [g.segments for g in plan(parts, rate=0.6).grants] == [(2,)]


def test_a_rate_the_caller_wrote_beside_a_text_wins():
    parts = prompt(
        ("document", 400, 0, {"rate": 0.25}), ("document", 400), ("document", 200, 0, {"rate": 1.0})
    )
    assert [(g.segments, g.tokens) for g in plan(parts, rate=0.5).grants] == [
        ((0,), 100),
        ((1,), 200),
    ]


def test_a_target_below_what_is_never_cut_keeps_the_floor_and_says_so():
    found = plan(RAG, target_tokens=150, floor=0.1)
    assert found.grants[0].tokens == 80
    assert found.why == (
        "150 tokens cannot be met in turn 0: the floor of 0.1 keeps 80 of 800, "
        "because what is not to be cut takes 200"
    )


def test_a_short_prompt_is_granted_nothing_and_told_why():
    found = plan(RAG, rate=0.5, min_tokens=1001)
    assert found.grants == ()
    assert found.why == "1000 tokens are fewer than min_tokens (1001)"


def test_a_prompt_within_its_target_is_granted_nothing():
    assert plan(RAG, target_tokens=1000).grants == ()
    assert plan(RAG, rate=1.0).grants == ()


def test_the_first_range_that_fits_counts():
    ranges = (Range(max_tokens=999, rate=0.9), Range(min_tokens=1000, target_tokens=600))
    assert plan(RAG, ranges=ranges, rate=0.1).asked == 600
    assert plan(prompt(("document", 500)), ranges=ranges).asked == 450


def test_off_grants_nothing_and_lossless_asks_for_nothing():
    assert plan(RAG, compressor="off").grants == ()
    assert [(g.kind, g.tokens) for g in plan(RAG, compressor="lossless").grants] == [
        ("document", 800)
    ]


def test_a_later_turn_gets_the_target_minus_what_earlier_ones_were_granted():
    parts = prompt(("document", 800), ("question", 200), ("document", 500, 1), ("question", 100, 1))
    found = plan(parts, target_tokens=900)
    assert [(g.turn, g.tokens) for g in found.grants] == [(0, 700), (1, 50)]


def test_an_empty_prompt_has_an_empty_plan():
    assert plan(Prompt(body="", segments=())).grants == ()


KINDS: list[Kind] = [
    "instruction",
    "demonstration",
    "document",
    "question",
    "history",
    "tool_output",
]
turns = st.lists(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 400)), min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)
policies = st.one_of(
    st.builds(dict, rate=st.floats(0.05, 1.0)),
    st.builds(dict, target_tokens=st.integers(1, 1500)),
    st.builds(dict, target_tokens=st.integers(1, 1500), min_tokens=st.integers(0, 500)),
)


@given(turns, policies, st.floats(0.05, 0.5))
def test_grants_of_a_turn_depend_on_no_later_turn(
    conversation: list[list[tuple[Kind, int]]], policy: dict[str, Any], floor: float
):
    def grants(number: int) -> tuple[Grant, ...]:
        parts = [(*part, turn) for turn in range(number) for part in conversation[turn]]
        return plan(prompt(*parts), floor=floor, **policy).grants

    everything = grants(len(conversation))
    for number in range(1, len(conversation)):
        assert grants(number) == tuple(g for g in everything if g.turn < number)


@given(turns, policies, st.floats(0.05, 0.5))
def test_what_is_granted_meets_the_target_or_says_why_not(
    conversation: list[list[tuple[Kind, int]]], policy: dict[str, Any], floor: float
):
    parts = prompt(*((*part, turn) for turn, found in enumerate(conversation) for part in found))
    found = plan(parts, floor=floor, **policy)
    sent = sum(found.counts) - sum(g.before - g.tokens for g in found.grants)
    assert all(0 <= g.tokens <= g.before for g in found.grants)
    if found.grants and found.asked is not None and sent > found.asked:
        assert found.why
    if found.why == "" and "target_tokens" in policy and len(conversation) == 1:
        assert sent == policy["target_tokens"]


@pytest.mark.parametrize("tokens", [1, 2, 3, 7, 101])
def test_shares_add_up_to_the_last_token(tokens: int):
    parts = prompt(("demonstration", 33), ("document", 77), ("tool_output", 100))
    assert sum(g.tokens for g in plan(parts, target_tokens=tokens, floor=0.001).grants) == tokens


def test_what_demonstrations_leave_goes_back_to_instruction_and_question():
    shots = prompt(
        ("instruction", 100), ("demonstration", 800), ("question", 300), ("document", 200)
    )
    found = plan(shots, target_tokens=900, keep=Keep(instruction=0.5, question=0.8))
    grants = {grant.kind: grant for grant in found.grants}
    assert grants["instruction"].tokens == 50 and grants["question"].tokens == 240
    more = {kind: found.returned(grant, 40) for kind, grant in grants.items()}
    assert more["instruction"].tokens == 60
    assert more["question"].tokens == 270
    assert "10 tokens that demonstrations left" in more["instruction"].why
    assert more["document"] is grants["document"]
    assert found.returned(grants["instruction"], 0) is grants["instruction"]
    assert found.returned(grants["instruction"], 10_000).tokens == 100


def test_a_rate_of_0_that_the_caller_wrote_is_no_rate_left_out():
    parts = prompt(("document", 100), ("document", 200), ("question", 20))
    segments = (replace(parts.segments[0], rate=0.0), *parts.segments[1:])
    found = plan(replace(parts, segments=segments), rate=0.5)
    assert [grant.tokens for grant in found.grants] == [0, 140]
