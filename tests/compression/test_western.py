"""Both engines find the same, and each text gets the one that can read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.western import twofold

NAMES = twofold(r"(?<![\p{L}\p{N}])\p{Lu}[\p{L}\p{M}]*+(?:[-'’&][\p{L}\p{N}]++)*+|\p{Sc}\p{Nd}+")


@given(st.text("aZ éÉßÿ'’-&.19²€$—\n"))
def test_both_engines_find_the_same_in_a_western_text(text: str) -> None:
    anywhere, western = (
        [found.span() for found in engine.finditer(text)]
        for engine in (NAMES.anywhere, NAMES.western)
    )
    assert anywhere == western
    assert NAMES.of(text) is NAMES.western


@pytest.mark.parametrize("text", ["Ångström Ł", "Вернадский", "뢴트겐", "e\u0301", "عبد"])
def test_any_other_text_is_read_by_the_engine_that_knows_its_letters(text: str) -> None:
    assert NAMES.of(text) is NAMES.anywhere
