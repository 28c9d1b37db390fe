"""What ranks documents for each `rank_method` of llmlingua 0.2.2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unabridged.policies.policy import Provider, Rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way of ranking."""

    rank: Rank
    """What a policy calls it."""
    weights: str = ""
    """Source of the model that llmlingua took, where it is one that runs here."""
    model: str = ""
    """The provider's model as litellm names it, where it is one that runs elsewhere."""

    def elsewhere(self, config: Mapping[str, Any]) -> Provider:
        """The provider, with what `open_api_config` says of its address and key."""
        key = KEY if config.get("api_key") else None
        return Provider(litellm=self.model, url=config.get("api_base") or None, api_key_env=key)


KEY = "api_key"
"""Where the key of `open_api_config` is handed on, in place of an environment variable."""

METHODS: dict[str, Method] = {
    "llmlingua": Method(rank="llmlingua"),
    "longllmlingua": Method(rank="longllmlingua"),
    "bm25": Method(rank="bm25"),
    "gzip": Method(rank="gzip"),
    "embeddings": Method(rank="embeddings"),
    "sentbert": Method(
        rank="embeddings", weights="hf:sentence-transformers/multi-qa-mpnet-base-dot-v1"
    ),
    "bge": Method(rank="embeddings", weights="hf:BAAI/bge-large-en-v1.5"),
    "bge_llmembedder": Method(rank="embeddings", weights="hf:BAAI/llm-embedder"),
    "jinza": Method(rank="embeddings", weights="hf:jinaai/jina-embeddings-v2-base-en"),
    "bge_reranker": Method(rank="cross-encoder", weights="hf:BAAI/bge-reranker-large"),
    "openai": Method(rank="embeddings", model="openai/text-embedding-ada-002"),
    "voyageai": Method(rank="embeddings", model="voyage/voyage-01"),
    "cohere": Method(rank="cross-encoder", model="cohere/rerank-english-v2.0"),
}
"""By the names of llmlingua, and `embeddings` for the encoder of this package."""


def method(name: str) -> Method:
    """Raises ValueError for an unknown name."""
    if name not in METHODS:
        raise ValueError(f"unknown rank_method {name!r}; known: {', '.join(METHODS)}")
    return METHODS[name]
