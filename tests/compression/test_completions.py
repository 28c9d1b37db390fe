"""A request of the older completions API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unabridged.compression.body import read
from unabridged.compression.completions import speeches


def said(**body: Any) -> list[tuple[str, bool, int]]:
    found = speeches(read(json.dumps(body), "completions"), {})
    return [(s.text.value, s.protected, s.turn) for s in found]


def test_each_prompt_is_a_turn_of_its_own() -> None:
    assert said(prompt="a") == [("a", False, 0)]
    assert said(prompt=["a", "b"]) == [("a", False, 0), ("b", False, 1)]


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2], [3]], None, {"x": "y"}])
def test_tokens_are_left_as_they_are(prompt: Any) -> None:
    assert said(prompt=prompt) == []


@pytest.mark.parametrize("more", [{"echo": True}, {"suffix": "end"}])
def test_a_prompt_that_comes_back_or_is_continued_is_never_cut(more: dict[str, Any]) -> None:
    assert said(prompt="a", **more) == [("a", True, 0)]
