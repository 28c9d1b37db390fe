"""Code in an answer is recognised however it arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.recovery.code import Code


def state(*pieces: str) -> tuple[bool, bool]:
    code = Code()
    for piece in pieces:
        code.read(piece)
    return code.fenced, code.inline


@pytest.mark.parametrize(
    ("text", "fenced", "inline"),
    [
        ("plain", False, False),
        ("```python\nx = ", True, False),
        ("~~~\nx = ", True, False),
        ("```\nx\n```\nafter ", False, False),
        ("call `run(", False, True),
        ("call `run()` now", False, False),
        ("``a ` b", False, True),
        ("an open ` mark\n\nnext paragraph", False, False),
        ("```\n~~~ inside", True, False),
    ],
)
def test_fences_and_inline_code_are_told_from_text(text: str, fenced: bool, inline: bool) -> None:
    assert state(text) == (fenced, inline)


@given(st.text(alphabet="`~\nab", max_size=30), st.data())
def test_how_the_text_is_chopped_changes_nothing(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    assert state(text[:at], text[at:]) == state(text)
