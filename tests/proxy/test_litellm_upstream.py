"""Providers of other shapes, through litellm, each a fake server on a real socket."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from conftest import Proxy
from fake_upstream import Cut, FakeUpstream, Hang, Reply, answer, events
from provider_wires import WIRES, aws_event, aws_exception, aws_stream, bedrock_block

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
    proxy = provided("cohere", "/v2/chat", {"fake_stream": False})
    got = ask(proxy, model="command-r-plus", stream=True)
    assert "upstream_error" in got.text
    told = caplog.text + "".join(capfd.readouterr()) + proxy.log.getvalue()
    assert "secret" not in told


def test_coheres_own_stream_is_not_read_yet_so_whole_answers_are_asked_for(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    """When litellm reads it, `WHOLE` has had its time."""
    cohere = WIRES["cohere"]
    upstream.reply(cohere.reply(("At the", " river."), ()))
    own = ask(provided("cohere", "/v2/chat", {"fake_stream": False}), model="c", stream=True)
    assert "upstream_error" in own.text
    whole = ask(provided("cohere", "/v2/chat"), model="c", stream=True)
    assert "At the river." in whole.text and "[DONE]" in whole.text
    assert [bool(seen.json.get("stream")) for seen in upstream.seen] == [True, False]


BEGUN = (
    aws_event("messageStart", {"role": "assistant"}),
    *bedrock_block(0, [{"text": "At the"}, {"text": " river"}])[:-1],
)
SPOILT = BEGUN[2][:-1] + bytes([BEGUN[2][-1] ^ 1])
STREAMED = [
    ("/chat/completions", {"messages": [USER]}),
    ("/responses", {"input": "Where is the gauge?"}),
]


@pytest.mark.parametrize(("path", "body"), STREAMED, ids=["chat", "responses"])
@pytest.mark.parametrize(
    "broken",
    [
        aws_stream(*BEGUN, aws_exception("throttlingException", "secret")),
        aws_stream(*BEGUN[:2], SPOILT),
        aws_stream(*BEGUN, end=[0.3, Cut]),
    ],
    ids=["exception", "wrong checksum", "closed"],
)
def test_a_stream_of_bedrock_that_breaks_off_ends_with_an_error_and_is_charged_in_part(
    upstream: FakeUpstream, provided: Callable[..., Proxy], broken: Reply, path: str, body: Any
) -> None:
    upstream.reply(broken)
    bedrock = WIRES["bedrock"]
    proxy = provided("bedrock", params=bedrock.params)
    said = {"model": bedrock.model, "stream": True, **body}
    got = httpx.post(proxy.url + path, json=said, timeout=90)
    assert got.status_code == 200
    assert "At the" in got.text and "upstream_error" in got.text and "secret" not in got.text
    assert "[DONE]" not in got.text and "response.completed" not in got.text
    told = proxy.receipt()
    assert (told.ended, told.cost_basis) == ("broken off", "partial")


@pytest.mark.parametrize(("path", "body"), STREAMED, ids=["chat", "responses"])
def test_who_leaves_a_stream_ends_it_at_the_provider(
    upstream: FakeUpstream, provided: Callable[..., Proxy], path: str, body: Any
) -> None:
    upstream.reply(aws_stream(*BEGUN, end=[Hang]))
    bedrock = WIRES["bedrock"]
    proxy = provided("bedrock", params=bedrock.params)
    said = {"model": bedrock.model, "stream": True, **body}
    with httpx.stream("POST", proxy.url + path, json=said, timeout=90) as got:
        assert any("river" in line for line in got.iter_lines())
    upstream.wait_left()


@pytest.mark.parametrize(
    "body",
    [
        {"input": "And now?", "previous_response_id": "resp_1"},
        {"input": "And now?", "conversation": "conv_1"},
        {"input": [{"role": "user", "content": "And?"}, {"type": "item_reference", "id": "m"}]},
        {"prompt": {"id": "pmpt_1"}},
    ],
    ids=["response", "conversation", "item", "template"],
)
def test_a_response_that_goes_on_from_what_no_provider_holds_is_refused_before_it_is_asked(
    upstream: FakeUpstream, provided: Callable[..., Proxy], body: Any
) -> None:
    got = httpx.post(
        provided("anthropic").url + "/responses", json={"model": "claude-x", **body}, timeout=90
    )
    assert got.status_code == 400
    assert "send the whole conversation in input" in got.json()["error"]["message"]
    assert upstream.seen == []


def test_a_provider_with_responses_of_its_own_is_asked_to_go_on(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    told = {"id": "resp_2", "object": "response", "created_at": 1, "status": "completed",
            "model": "gpt-x", "output": []}  # fmt: skip
    upstream.reply(answer(json.dumps(told).encode()))
    proxy = provided("openai", "/v1")
    said = {"model": "gpt-x", "input": "And now?", "previous_response_id": "resp_1"}
    got = httpx.post(proxy.url + "/responses", json=said, timeout=90)
    assert got.status_code == 200, got.text
    (seen,) = upstream.seen
    assert (seen.target, seen.json["previous_response_id"]) == ("/v1/responses", "resp_1")


def test_a_callers_tools_are_left_to_the_provider(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    """None is run by litellm, whatever address it names."""
    upstream.reply(answer(json.dumps(ANTHROPIC).encode()))
    tool = {"type": "mcp", "server_label": "a", "server_url": "litellm_proxy",
            "require_approval": "never"}  # fmt: skip
    got = ask(provided("anthropic"), tools=[tool])
    assert got.status_code == 200, got.text
    assert [server["url"] for server in upstream.seen[0].json["mcp_servers"]] == ["litellm_proxy"]


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


def test_what_a_message_says_of_its_answers_shape_and_context_reaches_the_provider(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    upstream.reply(answer(json.dumps(ANTHROPIC).encode()))
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    said = {
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
        "container": "c-1",
    }
    more = {"model": "claude-sonnet-4-5", "max_tokens": 50}
    assert ask(provided("anthropic"), "/messages", **more, **said).status_code == 200
    assert {name: upstream.seen[0].json.get(name) for name in said} == said


def test_a_streamed_message_has_all_of_what_a_provider_thought_unseen(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    hidden = {"type": "redacted_thinking", "data": "RW5jcnlwdGVk"}
    shown = {"type": "text", "text": 'It says "redacted_thinking".'}
    told = {**ANTHROPIC, "content": [hidden, shown]}
    upstream.reply(answer(json.dumps(told).encode()))
    got = ask(provided("anthropic"), "/messages", max_tokens=50, stream=True)
    events = [json.loads(line[6:]) for line in got.text.splitlines() if line.startswith("data: ")]
    begun = [e["content_block"] for e in events if e["type"] == "content_block_start"]
    assert begun[0] == hidden
    said = "".join(e["delta"].get("text", "") for e in events if e["type"] == "content_block_delta")
    assert said == shown["text"]


def test_the_gateway_for_tools_that_litellm_has_is_refused_before_a_provider_is_asked(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    tool = {"type": "mcp", "server_label": "x", "server_url": "litellm_proxy/mcp/x"}
    body = {"model": "claude-x", "input": "Where?", "tools": [tool]}
    got = httpx.post(provided("anthropic").url + "/responses", json=body, timeout=90)
    assert got.status_code == 400
    assert "name an MCP server" in got.json()["error"]["message"]
    assert upstream.seen == []


def test_a_body_that_is_no_json_object_is_refused(provided: Callable[..., Proxy]) -> None:
    got = httpx.post(provided("anthropic").url + "/responses", content=b"[1]", timeout=90)
    assert got.status_code == 400


def test_a_body_that_came_compressed_is_opened(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    upstream.reply(answer(json.dumps(ANTHROPIC).encode()))
    proxy = provided("anthropic")
    packed = gzip.compress(json.dumps({"model": "claude-x", "messages": [USER]}).encode())

    def post(encoding: str) -> httpx.Response:
        headers = {"content-encoding": encoding}
        return httpx.post(
            proxy.url + "/chat/completions", content=packed, headers=headers, timeout=90
        )

    assert post("gzip").json()["choices"][0]["message"]["content"] == "At the river."
    assert "Where is the gauge?" in upstream.seen[0].body.decode()
    assert "encoding" in post("x-odd").json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/chat/completions", {"messages": [USER]}, "model"),
        ("/chat/completions", {"model": "m", "messages": "Where?"}, "messages"),
        ("/chat/completions", {"model": "m", "messages": [USER], "metadata": "x"}, "metadata"),
        ("/messages", {"model": "m", "messages": [USER]}, "max_tokens"),
        ("/embeddings", {"model": "m"}, "input"),
    ],
)
def test_a_callers_mistake_is_no_failure_of_the_provider(
    upstream: FakeUpstream, provided: Callable[..., Proxy], path: str, body: Any, said: str
) -> None:
    proxy = provided("anthropic", failures=1)
    got = httpx.post(proxy.url + path, json=body, timeout=90)
    assert (got.status_code, upstream.seen) == (400, [])
    assert got.json()["error"]["message"].startswith(said)
    assert not proxy.app.exchange.upstreams.health.cooling("default")


def test_no_upload_is_held_that_is_larger_than_a_request_may_be(
    upstream: FakeUpstream, provided: Callable[..., Proxy]
) -> None:
    proxy = provided("gemini", rest={"server": {"max_body_bytes": 2000}})
    got = httpx.post(proxy.url + "/embeddings", content=b" " * 5000, timeout=90)
    assert (got.status_code, upstream.seen) == (413, [])
    assert "server.max_body_bytes" in got.json()["error"]["message"]


@pytest.mark.parametrize(
    ("provider", "params"), [("nosuchprovider", {}), ("anthropic", {"rpm": "many"})]
)
def test_what_litellm_cannot_be_set_up_with_is_told_and_leaves_no_thread(
    provided: Callable[..., Proxy], provider: str, params: Any
) -> None:
    proxy = provided(provider, params=params)
    for _ in range(3):
        got = ask(proxy)
        assert got.status_code == 502
        assert "upstreams.default.provider" in got.json()["error"]["message"]
    end = time.monotonic() + 10
    while "unabridged-litellm-default" in [each.name for each in threading.enumerate()]:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_a_provider_has_no_path_for_is_not_found(provided: Callable[..., Proxy]) -> None:
    got = ask(provided("anthropic"), "/audio/speech")
    assert got.status_code == 404
    assert "/chat/completions" in got.json()["error"]["message"]
