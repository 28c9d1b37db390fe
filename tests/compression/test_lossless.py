"""Only what carries nothing goes: idle white space, JSON's white space, exact repeats."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.job import Job
from unabridged.compression.kept import extract, valid
from unabridged.compression.lossless import lossless
from unabridged.compression.prompt import Segment, Where
from unabridged.policies.policy import Policy

WHERE = Where(path=("x",), start=0)
PARAGRAPH = (
    "This paragraph is long enough to be worth looking for, since it has over eighty letters."
)


def run(*texts: str, **policy: object) -> list[str]:
    segments = tuple(Segment(kind="document", text=text, where=WHERE) for text in texts)
    job = Job(
        segments=segments, question="", tokens=0, count=len, policy=Policy.model_validate(policy)
    )
    cut = lossless(job)
    for segment, spans in zip(segments, cut.kept, strict=True):
        assert valid(spans, len(segment.text))
    return [extract(s.text, spans) for s, spans in zip(segments, cut.kept, strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  b", "a b"),
        ("End.  Next.", "End. Next."),
        ("a\n\n\n\nb", "a\n\nb"),
        ("a   \nb", "a\nb"),
        ("a\t\nb", "a\nb"),
    ],
)
def test_idle_white_space_goes(text: str, expected: str):
    assert run(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    return 1",
        "```\na  =  1\n\n\n\nb  =  2\n```",
        'he said "two  spaces" there',
        "call `f(a,  b)` there",
        "name    age    city\nAda     36     London",
        "| a   | b   |\n| 1   | 2   |",
        "line break  \nby two spaces",
        "short\n\nshort",
        "",
        " ",
    ],
)
def test_white_space_that_means_something_stays(text: str):
    assert run(text) == [text]


def test_json_loses_its_white_space_and_nothing_else():
    value = {"a": [1, 2.50, {"b  c": 'd  e \\" f'}], "g": None, "한": "가  나"}
    text = json.dumps(value, indent=4, ensure_ascii=False)
    (shorter,) = run(text)
    assert shorter == json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def test_the_format_of_json_numbers_survives():
    assert run('{ "a": 1.0e3,  "b": -0.10 }') == ['{"a":1.0e3,"b":-0.10}']


def test_a_paragraph_that_stood_before_goes_in_this_and_in_later_segments():
    assert run(f"{PARAGRAPH}\n\nNew.\n\n{PARAGRAPH}\n\nEnd.", f"First.\n\n{PARAGRAPH}") == [
        f"{PARAGRAPH}\n\nNew.\n\nEnd.",
        "First.",
    ]


def test_a_segment_that_only_repeats_goes_whole():
    assert run(PARAGRAPH, f"  {PARAGRAPH}\n") == [PARAGRAPH, ""]


def test_a_short_repeat_stays():
    assert run("Yes.\n\nNo.\n\nYes.") == ["Yes.\n\nNo.\n\nYes."]


def test_what_the_policy_forces_stays():
    assert run("keep  this", force=["keep +this"]) == ["keep  this"]


@given(st.text(alphabet=st.sampled_from('ab .\n\t"`|{}[]:,1漢'), max_size=120))
def test_nothing_but_white_space_goes_from_a_short_text(text: str):
    (shorter,) = run(text)
    assert "".join(shorter.split()) == "".join(text.split())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4), st.integers(0, 4))
def test_json_means_the_same_afterwards(value: dict[str, object], indent: int):
    (shorter,) = run(json.dumps(value, indent=indent))
    assert json.loads(shorter) == value


@given(st.text(max_size=300))
def test_doing_it_twice_changes_nothing_more(text: str):
    (once,) = run(text)
    assert run(once) == [once]
