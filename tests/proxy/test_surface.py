"""Each surface from a client to an upstream and back, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from conftest import Proxy, fake_steps
from fake_upstream import FakeUpstream, answer, events

from unabridged.proxy.surface import SURFACES, surface_of

Serve = Callable[..., Proxy]

NAME = "Wilhelm Konrad Röntgen"
PASSAGES = "\n\n".join(
    f"Document [{n}](Title: Note {n}) The gauge at station {n} showed a level of {n}0 cm in the"
    f" morning. Nothing else was seen there that day, and the keeper went home early."
    for n in range(1, 12)
)
QUESTION = "Question: What did the gauge at station 7 show?"
PROMPT = f"{PASSAGES}\n\n{QUESTION}"
SHORT, LONG = "SHORT", "SHORTENED"

REQUESTS: dict[str, dict[str, Any]] = {
    "/chat/completions": {"messages": [{"role": "user", "content": PROMPT}]},
    "/completions": {"prompt": PROMPT},
    "/responses": {"input": PROMPT, "previous_response_id": "resp_1"},
    "/responses/input_tokens": {"input": [{"role": "user", "content": PROMPT}]},
    "/messages": {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 9},
    "/messages/count_tokens": {"messages": [{"role": "user", "content": PROMPT}]},
}


def post(proxy: Proxy, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    said = {"model": "gpt-4o", **body}
    return httpx.post(proxy.url + path, json=said, headers=headers, timeout=20)


@pytest.mark.parametrize("path", REQUESTS)
def test_the_prompt_of_every_surface_leaves_shortened(
    upstream: FakeUpstream, serve: Serve, path: str
) -> None:
    upstream.reply(answer(b'{"object": "x"}'))
    got = post(serve(), path, REQUESTS[path])
    sent = upstream.seen[0].body.decode()
    assert len(sent) < len(json.dumps(REQUESTS[path])) * 0.8
    assert QUESTION in sent
    assert int(got.headers["x-unabridged-tokens-after"]) < int(
        got.headers["x-unabridged-tokens-before"]
    )
    assert got.content == b'{"object": "x"}'


ANSWERS: dict[str, dict[str, Any]] = {
    "/completions": {"choices": [{"index": 0, "text": SHORT}]},
    "/responses": {"output": [{"type": "message", "content": [{"text": SHORT}]}]},
    "/messages": {"type": "message", "content": [{"type": "text", "text": SHORT}]},
}


@pytest.mark.parametrize("path", ANSWERS)
def test_the_answer_of_every_surface_comes_back_restored(
    upstream: FakeUpstream, serve: Serve, path: str
) -> None:
    upstream.reply(answer(json.dumps(ANSWERS[path]).encode()))
    proxy = serve(steps=fake_steps())
    got = post(proxy, path, REQUESTS[path])
    assert got.json() == json.loads(json.dumps(ANSWERS[path]).replace(SHORT, LONG))
    upstream.reply(events(b"event: x\ndata: SHO", b"RT\n\n"))
    streamed = post(proxy, path, {**REQUESTS[path], "stream": True})
    assert streamed.text == "event: x\ndata: SHORTENED\n\n"


def test_a_count_is_of_what_would_be_sent_and_nothing_is_restored_in_it(
    upstream: FakeUpstream, serve: Serve
) -> None:
    upstream.reply(answer(b'{"input_tokens": 12, "note": "SHORT"}'))
    got = post(serve(steps=fake_steps()), "/messages/count_tokens", REQUESTS["/messages"])
    assert got.json() == {"input_tokens": 12, "note": "SHORT"}


def test_what_the_provider_caches_reaches_it_as_it_was_written(
    upstream: FakeUpstream, serve: Serve
) -> None:
    block = {"type": "text", "text": PROMPT, "cache_control": {"type": "ephemeral"}}
    body = {"model": "m", "messages": [{"role": "user", "content": [block]}]}
    raw = json.dumps(body).encode()
    got = httpx.post(serve().url + "/messages", content=raw)
    assert upstream.seen[0].body == raw
    assert "cache_control" in got.headers["x-unabridged-reason"]


def test_a_client_of_the_messages_api_is_known_by_its_header_and_told_errors_in_its_envelope(
    upstream: FakeUpstream, serve: Serve, tmp_path: Any
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("ada research " + "k" * 40)
    keys.chmod(0o600)
    proxy = serve(server={"keys_file": str(keys)})
    refused = post(proxy, "/messages", REQUESTS["/messages"], **{"x-api-key": "wrong"})
    assert refused.status_code == 401
    assert refused.json()["type"] == "error"
    assert refused.json()["error"]["type"] == "authentication_error"
    post(proxy, "/messages", REQUESTS["/messages"], **{"x-api-key": "k" * 40})
    assert upstream.seen[0].header("x-api-key") is None


def test_a_stream_that_breaks_off_ends_with_the_error_event_of_its_api(
    upstream: FakeUpstream, serve: Serve
) -> None:
    from fake_upstream import Cut

    upstream.reply(events(b'event: ping\ndata: {"type": "ping"}\n\n', 0.05, Cut))
    proxy = serve()
    for path in ("/messages", "/responses"):
        got = post(proxy, path, {**REQUESTS[path], "stream": True})
        last = got.text.strip().rpartition("\n\n")[2]
        assert last.startswith("event: error\ndata: ")
        assert json.loads(last.partition("data: ")[2])["type"] == "error"


def test_only_a_post_to_the_very_path_is_looked_into() -> None:
    assert surface_of("GET", "/v1/chat/completions") is None
    assert surface_of("POST", "/v1/responses/compact") is None
    assert surface_of("POST", "/v1/embeddings") is None
    assert all(surface_of("POST", path) is SURFACES[path] for path in SURFACES)
