"""Providers of other shapes, through litellm, each a fake server on a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Proxy, serving
from fake_upstream import FakeUpstream, answer, events

from unabridged.policies.config import Config

USER = {"role": "user", "content": "Where is the gauge?"}

ANTHROPIC = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
    "content": [{"type": "text", "text": "At the river."}], "stop_reason": "end_turn",
    "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 4},
}  # fmt: skip
GEMINI = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": "At the river."}]},
         "finishReason": "STOP", "index": 0}
    ],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13},
}  # fmt: skip
BEDROCK = {
    "output": {"message": {"role": "assistant", "content": [{"text": "At the river."}]}},
    "stopReason": "end_turn", "usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13},
    "metrics": {"latencyMs": 1},
}  # fmt: skip
COHERE = {
    "id": "c1", "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "At the river."}]},
    "usage": {"billed_units": {"input_tokens": 9, "output_tokens": 4},
              "tokens": {"input_tokens": 9, "output_tokens": 4}},
}  # fmt: skip
AWS = {
    "aws_region_name": "us-east-1",
    "aws_access_key_id": "AKIAFAKE",
    "aws_secret_access_key": "fake",
}


@pytest.fixture
def provided(
    upstream: FakeUpstream, tmp_path: Path, no_models: Path
) -> Iterator[Callable[..., Proxy]]:
    """A proxy whose only upstream is a provider, played by `upstream`."""
    running: list[Any] = []

    def start(provider: str, path: str = "", params: Any = None, **more: Any) -> Proxy:
        root = upstream.url.removesuffix("/v1")
        params = {k: v.replace("ROOT", root) for k, v in (params or {}).items()}
        settings = {"kind": "litellm", "provider": provider, "api_key_env": "K", "retries": 0}
        settings |= {"url": root + path, "params": params, "first_byte_seconds": 60, **more}
        config = Config.model_validate(
            {
                "upstreams": {"default": settings},
                "routes": [{"policy": "off"}],
                "policies": {"off": {"compressor": "off"}},
                "server": {"port": 0, "grace_seconds": 5},
            }
        )
        context = serving(config, tmp_path / "s", models=no_models, environment={"K": "op-key"})
        running.append(context)
        return context.__enter__()

    yield start
    for context in running:
        context.__exit__(None, None, None)


def ask(proxy: Proxy, path: str = "/chat/completions", **body: Any) -> httpx.Response:
    said = {"model": "claude-x", "messages": [USER], **body}
    return httpx.post(proxy.url + path, json=said, timeout=90)


@pytest.mark.parametrize(
    ("provider", "path", "model", "told", "params"),
    [
        ("anthropic", "", "claude-x", ANTHROPIC, {}),
        ("gemini", "", "gemini-2.5-flash", GEMINI, {}),
        ("bedrock", "", "amazon.nova-lite-v1:0", BEDROCK,
         {**AWS, "aws_bedrock_runtime_endpoint": "ROOT"}),
        ("cohere", "/v2/chat", "command-r-plus", COHERE, {}),
    ],
    ids=["anthropic", "gemini", "bedrock", "cohere"],
)  # fmt: skip
def test_a_chat_reaches_the_provider_in_its_own_shape_and_comes_back_in_openais(
    upstream: FakeUpstream,
    provided: Callable[..., Proxy],
    provider: str,
    path: str,
    model: str,
    told: Any,
    params: Any,
) -> None:
    upstream.reply(answer(json.dumps(told).encode()))
    got = ask(provided(provider, path, params), model=model)
    assert got.status_code == 200, got.text
    said = got.json()
    assert said["choices"][0]["message"]["content"] == "At the river."
    assert said["choices"][0]["finish_reason"] == "stop"
    assert (said["usage"]["prompt_tokens"], said["usage"]["completion_tokens"]) == (9, 4)
    assert "Where is the gauge?" in upstream.seen[0].body.decode()


def test_a_stream_of_the_provider_is_a_stream_of_chunks(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    said = [
        {"type": "message_start", "message": {**ANTHROPIC, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}}
          for t in ("At the", " river.")),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
         "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    ]  # fmt: skip
    upstream.reply(
        events(*(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in said))
    )
    got = ask(provided("anthropic"), stream=True)
    assert got.headers["content-type"].startswith("text/event-stream")
    lines = [line[6:] for line in got.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    words = [c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]]
    assert "".join(words) == "At the river."
    assert all(c["object"] == "chat.completion.chunk" for c in chunks)


def streamed_gemini() -> list[bytes]:
    said = [{**GEMINI, "candidates": [{"index": 0, "content": {
                "role": "model", "parts": [{"text": text}]}, **end}]}
            for text, end in (("At the", {}), (" river.", {"finishReason": "STOP"}))]  # fmt: skip
    return [b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in said]


def test_a_stream_of_gemini_is_a_stream_of_chunks_too(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    upstream.reply(events(*streamed_gemini()))
    got = ask(provided("gemini"), model="gemini-2.5-flash", stream=True)
    lines = [line[6:] for line in got.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]", got.text
    choices = [choice for line in lines[:-1] for choice in json.loads(line)["choices"]]
    assert "".join(c["delta"].get("content") or "" for c in choices) == "At the river."
    assert [c["finish_reason"] for c in choices if "finish_reason" in c] == ["stop"]


def test_a_stream_that_cannot_be_read_leaves_no_word_of_it_in_the_log(
    upstream: FakeUpstream,
    provided: Callable[..., Proxy],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    upstream.reply(events(b"event: odd\ndata: The gauge is {secret\n\n"))
    proxy = provided("cohere", "/v2/chat")
    got = ask(proxy, model="command-r-plus", stream=True)
    assert "upstream_error" in got.text
    told = caplog.text + "".join(capfd.readouterr()) + proxy.log.getvalue()
    assert "secret" not in told


def test_embeddings_of_a_provider_come_back_in_openais_shape(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    upstream.reply(answer(json.dumps({"embeddings": [{"values": [0.25, 0.5]}]}).encode()))
    said = {"model": "text-embedding-004", "input": ["Where is the gauge?"]}
    got = httpx.post(provided("gemini").url + "/embeddings", json=said, timeout=90)
    assert got.status_code == 200, got.text
    assert got.json()["data"][0]["embedding"] == [0.25, 0.5]
    assert "Where is the gauge?" in upstream.seen[0].body.decode()


def test_a_providers_refusal_is_told_in_openais_envelope(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    refusal = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    upstream.reply(answer(json.dumps(refusal).encode(), status=429))
    got = ask(provided("anthropic"))
    assert got.status_code == 429
    assert "slow down" in got.json()["error"]["message"]
    assert got.json()["error"].keys() >= {"message", "type", "param", "code"}


def test_its_router_tries_again_and_asks_another_model(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    broken = answer(b'{"type":"error","error":{"type":"api_error","message":"no"}}', status=500)

    def by_model(seen: Any) -> Any:
        good = seen.json["model"] == "claude-y"
        return answer(json.dumps(ANTHROPIC).encode()) if good else broken

    upstream.reply(by_model)
    proxy = provided("anthropic", retries=1, model_fallbacks={"claude-x": ["claude-y"]})
    assert ask(proxy).json()["choices"][0]["message"]["content"] == "At the river."
    models = [seen.json["model"] for seen in upstream.seen]
    assert models[-1] == "claude-y"
    assert models.count("claude-x") >= 2


def test_no_caller_sets_addresses_or_keys(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    upstream.reply(answer(json.dumps(ANTHROPIC).encode()))
    with FakeUpstream() as thief:
        elsewhere = {"api_base": thief.url, "base_url": thief.url, "api_key": "x",
                     "extra_headers": {"x-api-key": "x"}, "mock_response": "hi"}  # fmt: skip
        got = ask(provided("anthropic"), **elsewhere)
        assert got.json()["choices"][0]["message"]["content"] == "At the river."
        assert thief.seen == []
    assert upstream.seen[0].header("x-api-key") == "op-key"


def test_the_messages_api_of_a_provider_passes_in_its_own_shape(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    upstream.reply(answer(json.dumps(ANTHROPIC).encode()))
    got = ask(provided("anthropic"), "/messages", max_tokens=50)
    assert got.status_code == 200, got.text
    assert got.json()["content"][0]["text"] == "At the river."


@pytest.mark.parametrize("path", ["/audio/speech", "/responses"])
def test_what_a_provider_has_no_path_for_is_not_found(
    provided: Callable[..., Proxy], path: str
) -> None:
    got = ask(provided("anthropic"), path)
    assert got.status_code == 404
    assert "/chat/completions" in got.json()["error"]["message"]
