"""A YAML text becomes data that knows its lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.policies.source import read

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text("abc가나\n\"'#:", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz길", max_size=4), inner)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_json_is_read_as_what_it_says(value: object) -> None:
    source = read(json.dumps(value, ensure_ascii=False), "u.yaml")
    assert source.problems == ()
    assert source.data == value


@given(st.text(max_size=60))
def test_no_text_makes_it_raise(text: str) -> None:
    source = read(text, "u.yaml")
    assert source.problems or source.lines[()] == 1


def test_every_key_and_item_has_its_line() -> None:
    source = read("a: 1\nb:\n  - x\n  - y: 2\n", "u.yaml")
    assert source.line(("a",)) == 1
    assert source.line(("b", 0)) == 3
    assert source.line(("b", 1, "y")) == 4


def test_a_place_that_is_not_there_has_the_line_of_what_is_around_it() -> None:
    source = read("a:\n\n  b: {c: 1}\n", "u.yaml")
    assert source.line(("a", "b", "d", 3)) == 3


def test_off_is_a_word_and_not_false() -> None:
    assert read("policy: off", "u.yaml").data == {"policy": "off"}


def test_the_second_of_two_equal_keys_is_a_problem_that_names_both_lines() -> None:
    source = read("a: 1\nb: 2\na: 3\n", "u.yaml")
    assert [str(p) for p in source.problems] == ["u.yaml:3: a: given twice; first on line 1"]


def test_an_alias_inside_itself_is_a_problem_and_no_endless_loop() -> None:
    source = read("a: &x [1, *x]", "u.yaml")
    assert "an alias may not contain itself" in str(source.problems[0])


def test_an_alias_used_twice_is_fine() -> None:
    source = read("a: &x [1]\nb: *x\nc: *x\n", "u.yaml")
    assert (source.data["c"], source.problems) == ([1], ())


def test_broken_yaml_names_the_line() -> None:
    source = read("a: 1\nb: [1,\nc: }\n", "u.yaml")
    assert source.data is None
    assert str(source.problems[0]).startswith("u.yaml:3: not valid YAML: ")


@pytest.mark.parametrize(
    ("scalar", "said"),
    [
        ("2026-02-30", "'2026-02-30' is no timestamp"),
        ("!!int abc", "'abc' is no int"),
        ("!!float x", "'x' is no float"),
        ("!!bool x", "'x' is no bool"),
        ("1" * 5000, "is no int"),
    ],
    ids=range(5),
)
def test_a_scalar_that_is_not_what_it_looks_like_names_its_line(scalar: str, said: str) -> None:
    found = read(f"a: 1\nb: {scalar}\n", "f.yaml")
    assert said in str(found.problems[0])
    assert str(found.problems[0]).startswith("f.yaml:2: b: ")


def test_a_key_that_is_no_word_is_a_problem() -> None:
    source = read("? [1, 2]\n: x\n", "u.yaml")
    assert "a key must be a plain word" in str(source.problems[0])
