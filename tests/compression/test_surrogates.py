"""Half a surrogate pair stops no tokenizer and moves no character."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.surrogates import legible

ANY = st.text(alphabet=st.characters(codec=None))


@given(ANY)
def test_each_half_becomes_one_character_and_all_else_stays(text: str) -> None:
    found = legible(text)
    assert len(found) == len(text)
    found.encode("utf-8")
    for was, now in zip(text, found, strict=True):
        assert now == ("\ufffd" if "\ud800" <= was <= "\udfff" else was)


def test_a_whole_pair_is_one_character_already() -> None:
    assert legible("👩 \ud83d x") == "👩 \ufffd x"
