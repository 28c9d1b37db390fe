"""The cross-encoders of policies: loaded once, or a provider's."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from fake_models import FakeModels, rerank

from unabridged.policies.policy import Policy, Provider
from unabridged.proxy.rerankers import Rerankers


class Fixed:
    revision = "fixed"

    def scores(self, question: str, passages: list[str], checkpoint: object = None) -> object:
        return np.zeros(len(passages))


def test_a_reranker_is_loaded_in_the_background_and_then_given(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    policy = Policy(reranker=f"path:{tmp_path}")
    rerankers = Rerankers(tmp_path, lambda place: Fixed())
    assert rerankers.of(policy)() is None
    assert rerankers.revision(policy) == ""
    rerankers.begin(policy)
    end = time.monotonic() + 5
    while rerankers.of(policy)() is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert rerankers.revision(policy) == f"path:{tmp_path} fixed"
    assert rerankers.loading == []


def test_a_provider_needs_no_loading(tmp_path: Path) -> None:
    with FakeModels(rerank) as server:
        policy = Policy(reranker=Provider(litellm="jina_ai/reranker", url=server.url))
        rerankers = Rerankers(tmp_path, lambda place: Fixed())
        rerankers.begin(policy)
        assert rerankers.of(policy)() is rerankers.of(policy)()
        assert "jina_ai/reranker" in rerankers.revision(policy)


def test_a_policy_without_one_has_none(tmp_path: Path) -> None:
    rerankers = Rerankers(tmp_path, lambda place: Fixed())
    rerankers.begin(Policy())
    assert rerankers.of(Policy())() is None
