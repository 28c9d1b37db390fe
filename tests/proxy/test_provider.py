"""Providers' embedding and rerank models, through litellm over real sockets."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from fake_models import FakeModels, embed, rerank

from unabridged.compression.job import Cancelled
from unabridged.policies.policy import Provider
from unabridged.proxy.litellm_loading import LOGGERS
from unabridged.proxy.provider import ProviderDown, ProviderEncoder, ProviderReranker

KEYS = {"PROVIDER_KEY": "secret"}


def named(model: str, url: str, **how: Any) -> Provider:
    return Provider(litellm=model, url=url, api_key_env="PROVIDER_KEY", **how)


def test_texts_and_their_stretches_get_vectors_of_length_one_in_their_order() -> None:
    texts, spans = ["The tide came in.", "", "Tea is hot."], [[(0, 8), (9, 17)], [], [(0, 3)]]
    with FakeModels(embed) as server:
        how = named("openai/text-embedding-3-small", f"{server.url}/v1", batch=2)
        encoder = ProviderEncoder(how, KEYS)
        found = encoder.passages(texts, spans)
        asked = encoder.question("The tide")
    assert [len(each.spans) for each in found] == [2, 0, 1]
    assert np.allclose(found[0].spans[0], asked)
    assert np.linalg.norm(found[0].whole) == pytest.approx(1, abs=1e-3)
    assert not found[1].whole.any()
    assert {path for path, _ in server.asked} == {"/v1/embeddings"}
    assert all(len(body["input"]) <= 2 for _, body in server.asked)
    assert "" not in [text for _, body in server.asked for text in body["input"]]
    assert set(server.credentials) == {"Bearer secret"}
    assert encoder.reads("어떤 말이든")


@pytest.mark.parametrize("model", ["cohere/rerank-v3.5", "jina_ai/jina-reranker-v2"])
def test_passages_are_scored_by_any_providers_reranker(model: str) -> None:
    passages = ["rain fell all day", "", "the tide book was kept", "tide"]
    with FakeModels(rerank) as server:
        reranker = ProviderReranker(named(model, server.url, batch=2), KEYS)
        found = reranker.scores("who kept the tide book", passages)
    assert found.tolist() == [0.0, -np.inf, 0.4, 0.1]
    assert all(len(body["documents"]) == body["top_n"] <= 2 for _, body in server.asked)


def test_what_a_provider_refuses_is_told_without_the_text() -> None:
    def refusing(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return 401, {"error": {"message": f"bad key for {body['input']}", "type": "auth"}}

    with FakeModels(refusing) as server:
        encoder = ProviderEncoder(named("openai/e", f"{server.url}/v1", retries=0), KEYS)
        with pytest.raises(ProviderDown, match=r"openai/e at .* failed with status 401") as told:
            encoder.question("codeword")
    assert "codeword" not in f"{told.value} {told.value.__cause__}"


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_what_a_provider_refuses_is_told_to_nobody_else(
    capfd: pytest.CaptureFixture[str], status: int
) -> None:
    def refusing(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return status, {"error": {"message": f"bad {body['documents']}", "type": "x"}}

    # A level that another test has set would hide what a process says by itself.
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    with FakeModels(refusing) as server:
        reranker = ProviderReranker(named("cohere/rerank-v3.5", server.url, retries=0), KEYS)
        with pytest.raises(ProviderDown):
            reranker.scores("who", ["codeword"])
    assert capfd.readouterr() == ("", "")


def test_an_answer_that_does_not_fit_is_an_error() -> None:
    def short(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"object": "list", "data": [], "model": "e", "usage": {"total_tokens": 0}}

    with FakeModels(short) as server:
        encoder = ProviderEncoder(named("openai/e", f"{server.url}/v1", retries=0), KEYS)
        with pytest.raises(ProviderDown):
            encoder.question("tide")


def test_a_key_that_is_not_set_is_named_before_anything_is_sent() -> None:
    for kind in (ProviderEncoder, ProviderReranker):
        with pytest.raises(ProviderDown, match="PROVIDER_KEY is not set"):
            kind(named("openai/e", "http://127.0.0.1:9"), {})


def test_the_revision_names_model_and_place_and_no_key() -> None:
    a, b = (ProviderEncoder(named("openai/e", url), KEYS) for url in ("http://a", "http://b"))
    assert a.revision != b.revision
    assert "secret" not in a.revision


def test_work_stops_between_requests() -> None:
    def gone() -> None:
        raise Cancelled("gone")

    encoder = ProviderEncoder(named("openai/e", "http://127.0.0.1:9"), KEYS)
    with pytest.raises(Cancelled):
        encoder.passages(["a"], [()], gone)
    with pytest.raises(ValueError, match="1 lists of spans for 2 texts"):
        encoder.passages(["a", "b"], [()])
