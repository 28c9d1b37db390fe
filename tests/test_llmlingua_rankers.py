"""Rank methods of llmlingua 0.2.2."""

from __future__ import annotations

from typing import get_args

import pytest

from unabridged.llmlingua_rankers import KEY, METHODS, method
from unabridged.policies.policy import Rank

LLMLINGUA = [
    "bm25",
    "gzip",
    "llmlingua",
    "longllmlingua",
    "sentbert",
    "bge",
    "bge_reranker",
    "bge_llmembedder",
    "jinza",
    "openai",
    "voyageai",
    "cohere",
]


def test_every_method_of_llmlingua_is_one_of_a_policy() -> None:
    assert set(LLMLINGUA) <= METHODS.keys()
    assert {how.rank for how in METHODS.values()} <= set(get_args(Rank))
    with pytest.raises(ValueError, match="unknown rank_method 'bm52'; known: llmlingua"):
        method("bm52")


def test_a_provider_is_asked_with_the_address_and_key_of_the_caller() -> None:
    given = {"api_key": "k", "api_base": "http://127.0.0.1:9/v1"}
    provider = METHODS["openai"].elsewhere(given)
    assert (provider.litellm, provider.url) == ("openai/text-embedding-ada-002", given["api_base"])
    assert provider.api_key_env == KEY
    assert METHODS["cohere"].elsewhere({}).api_key_env is None
