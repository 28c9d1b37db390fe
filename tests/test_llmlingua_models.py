"""Models behind the rank methods of llmlingua 0.2.2."""

from __future__ import annotations

import pytest

from unabridged.llmlingua_models import encoder_of, reranker_of
from unabridged.llmlingua_rankers import METHODS
from unabridged.proxy.provider import ProviderEncoder, ProviderReranker


def test_a_provider_is_asked_and_litellm_not_loaded_before() -> None:
    given = {"api_key": "k", "api_base": "http://127.0.0.1:9/v1"}
    assert isinstance(encoder_of(METHODS["openai"], given)(), ProviderEncoder)
    assert isinstance(reranker_of(METHODS["cohere"], given)(), ProviderReranker)


def test_the_package_s_encoder_takes_the_place_of_weights_that_are_not_here() -> None:
    with pytest.warns(UserWarning, match="unabridged models pull hf:BAAI/bge-large"):
        encoder_of(METHODS["bge"], {})
    assert reranker_of(METHODS["bge_reranker"], {})() is None
