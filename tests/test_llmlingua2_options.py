"""The options of LLMLingua-2, read once."""

from __future__ import annotations

import pytest

from unabridged.llmlingua2_options import NAMES, WordOptions, parted


def test_options_are_parted_by_whom_they_belong_to() -> None:
    own, rest = parted(
        {"rate": 0.3, "target_context": 2, "drop_consecutive": True, "label_sep": None}
    )
    assert own.target_context == 2 and own.drop_consecutive and own.label_sep == " "
    assert rest == {"rate": 0.3}
    assert set(WordOptions.model_fields) == NAMES


def test_each_option_becomes_a_wish() -> None:
    own = WordOptions(token_to_word="first", chunk_end_tokens=(".",), context_level_rate=0.5)
    wishes = own.words(asked=False, digits=True)
    assert (wishes.pool, wishes.chunk_ends, wishes.context_rate) == ("first", (".",), 0.5)
    assert wishes.by_question is None and wishes.force_digits and wishes.contexts is None
    assert own.words(asked=True, digits=False).by_question == "bm25"


def test_a_target_for_contexts_is_one_of_tokens_not_a_share_of_their_number() -> None:
    own = WordOptions(context_level_target_token=25).words(asked=False, digits=False)
    assert (own.context_tokens, own.context_rate) == (25, 1.0)
    assert WordOptions().words(asked=False, digits=False).context_tokens is None


def test_a_value_that_an_option_cannot_have_is_refused() -> None:
    with pytest.raises(ValueError):
        parted({"token_to_word": "max"})
