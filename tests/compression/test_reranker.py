"""The seam of models that read question and passage together."""

from __future__ import annotations

from unabridged.compression.cross_encoder import CrossEncoder
from unabridged.compression.reranker import Reranker
from unabridged.proxy.provider import ProviderReranker


def test_local_and_remote_rerankers_fit_the_seam() -> None:
    kinds: list[type[Reranker]] = [CrossEncoder, ProviderReranker]
    assert all(hasattr(kind, "scores") and hasattr(kind, "revision") for kind in kinds)
