"""Options of llmlingua 0.2.2."""

from __future__ import annotations

import warnings

import pytest

from unabridged.llmlingua_options import EVERYTHING, IDLE, Options, options_of


def test_defaults_are_those_of_llmlingua() -> None:
    options = options_of()
    assert (options.rate, options.target_token, options.context_budget) == (0.5, -1, "+100")
    assert (options.rank_method, options.reorder_context) == ("llmlingua", "original")


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(TypeError, match="'rrate'"):
        options_of(rrate=0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("context_budget", "__import__('os').abort()"),
        ("rate", 0),
        ("rate", 1.5),
        ("rank_method", "sbert"),
        ("reorder_context", "best"),
        ("dynamic_context_compression_ratio", 2),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        options_of(**{name: value})


def test_idle_options_are_taken_without_a_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert options_of(**dict.fromkeys(IDLE, 1)) == options_of()
    assert not IDLE & Options.model_fields.keys()


def test_options_of_sentences_reach_the_sentence_filter() -> None:
    how = options_of(
        use_sentence_level_filter=True,
        token_budget_ratio=2.0,
        keep_first_sentence=1,
        keep_last_sentence=2,
        keep_sentence_number=3,
    ).perplexity
    assert how.sentence_filter and how.sentence_budget == 2.0
    assert (how.keep_first_sentences, how.keep_last_sentences, how.keep_sentences) == (1, 2, 3)


def test_the_question_stands_where_it_is_wanted() -> None:
    wishes = ("none", "after_condition", "before", "before_condition")
    found = [options_of(condition_in_question=wish).perplexity.condition for wish in wishes]
    assert found == ["after", "after", "before", "before"]


def test_without_the_filter_of_contexts_all_are_let_in() -> None:
    assert options_of(use_context_level_filter=False).perplexity.context_budget == EVERYTHING


def test_the_target_counts_the_context_alone() -> None:
    assert options_of(target_token=200).target(30) == 230
    assert options_of(rate=0.5).target(30) is None


def test_without_token_pruning_documents_are_let_in_whole() -> None:
    how = options_of(use_token_level_filter=False, dynamic_context_compression_ratio=0.3)
    assert (how.perplexity.context_budget, how.perplexity.dynamic_ratio) == ("*1", 0.0)
