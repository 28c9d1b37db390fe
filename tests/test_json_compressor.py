"""Texts of a JSON object, and the object again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.json_compressor import Rule, leaves, rebuilt, rules_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4))
def test_what_keeps_all_its_texts_is_what_it_was(data: dict[str, Any]) -> None:
    rules = dict.fromkeys(data, Rule(pair_remove=False))
    assert rebuilt(data, rules, {leaf: leaf.text for leaf in leaves(data, rules)}) == data


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4))
def test_without_any_text_it_is_json_of_the_same_shape(data: dict[str, Any]) -> None:
    rules = dict.fromkeys(data, Rule())
    short = rebuilt(data, rules, dict.fromkeys(leaves(data, rules), ""))
    assert json.loads(json.dumps(short)).keys() == json.loads(json.dumps(data)).keys()


def test_keys_without_rules_and_numbers_are_no_texts() -> None:
    data = {"a": "x", "b": "y", "c": 5, "d": ["z", 3]}
    found = leaves(data, {"a": Rule(), "c": Rule(), "d": Rule(), "b": Rule(compress=False)})
    assert [leaf.text for leaf in found] == ["x", "z"]


def test_rules_come_from_yaml(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("notes:\n  rate: 0.5\n  compress: true\n  value_type: str\n")
    assert rules_of(file) == {"notes": Rule(rate=0.5, value_type="str")}
    with pytest.raises(ValueError, match="rate"):
        rules_of({"notes": {"rate": 5}})
