"""What people call the parts of a prompt."""

from __future__ import annotations

import unicodedata

import pytest

from unabridged.compression.labels import ROLES, TAGS, role_of


@pytest.mark.parametrize(
    ("label", "role"),
    [
        ("Context", "documents"),
        ("## CONTEXT", "documents"),
        ("[[ ## context ## ]]", "documents"),
        ("**Question**", "question"),
        ("질문", "question"),
        ("问题", "question"),
        ("Ｑ", "question"),
        ("回答：", "answer"),
        ("Beispiel", "examples"),
        ("1. Instructions", "instruction"),
    ],
)
def test_a_label_is_known_in_any_dress(label: str, role: str) -> None:
    assert role_of(label) == (role, False)


@pytest.mark.parametrize(
    "label", ["Document 3", "예시 2", "Example (12)", "문서 1", "الوثيقة 2", "مقطع ٣", "문단 4"]
)
def test_a_number_behind_a_label_is_told(label: str) -> None:
    role, numbered = role_of(label)
    assert role in ("documents", "examples")
    assert numbered


@pytest.mark.parametrize("label", ["", "the contextual", "https", "x" * 10_000, "Anna"])
def test_other_words_are_no_labels(label: str) -> None:
    assert role_of(label) == (None, False)


def test_the_tables_are_in_the_form_that_is_looked_up() -> None:
    assert all(unicodedata.normalize("NFKC", name).casefold() == name for name in ROLES)
    assert all(name.casefold() == name for name in TAGS)
