"""Options of llmlingua 0.2.2."""

from __future__ import annotations

import warnings

import pytest

from unabridged.llmlingua_options import IDLE, UNBUILT, Options, options_of


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
        ("rank_method", "sentbert"),
        ("reorder_context", "best"),
        ("dynamic_context_compression_ratio", 2),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        options_of(**{name: value})


def test_options_that_are_not_built_are_warned_of_and_idle_ones_are_not() -> None:
    for name in UNBUILT:
        with pytest.warns(UserWarning, match=name):
            options_of(**{name: True})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options_of(**dict.fromkeys(IDLE, 1))
        options_of(**dict.fromkeys(UNBUILT, False))


def test_no_name_is_in_two_lists() -> None:
    assert not IDLE & UNBUILT
    assert not (IDLE | UNBUILT) & Options.model_fields.keys()


def test_the_target_counts_the_context_alone() -> None:
    assert options_of(target_token=200).target(30) == 230
    assert options_of(rate=0.5).target(30) is None


def test_without_token_pruning_documents_are_let_in_whole() -> None:
    how = options_of(use_token_level_filter=False, dynamic_context_compression_ratio=0.3)
    assert (how.perplexity.context_budget, how.perplexity.dynamic_ratio) == ("*1", 0.0)
