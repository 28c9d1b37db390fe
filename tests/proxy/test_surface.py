"""Each surface from a client to an upstream and back, over real sockets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from conftest import Proxy, cutting_steps, fake_steps
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


TONGUES = {
    "ko": (
        "빌헬름 뢴트겐이 엑스선을 발견했다. 그는 물리학자였다.\n\n질문: 누가 발견했는가?",
        r"(?<=뢴트)겐이",
        ("그는 빌헬", "름 뢴트", " 였다."),
        "그는 빌헬름 뢴트겐 였다.",
    ),
    "ar": (
        "التقى الباحث بالأستاذ عبدالرحمن أمس. كان يوما حارا.\n\nالسؤال: من التقى؟",
        r"(?<=عبدالر)حمن",
        ("قال بالأس", "تاذ عبدالر", " أمس"),
        "قال بالأستاذ عبدالرحمن أمس",
    ),
}
"""A prompt, what is cut of it, and the pieces of an answer with its restored wording."""


def asked(path: str, prompt: str) -> dict[str, Any]:
    said = json.dumps(REQUESTS[path]).replace(json.dumps(PROMPT), json.dumps(prompt))
    return dict(json.loads(said))


def told(path: str, text: str) -> dict[str, Any]:
    if path == "/chat/completions":
        return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}
    if path == "/completions":
        return {"choices": [{"index": 0, "text": text}]}
    part = {"type": "output_text" if path == "/responses" else "text", "text": text}
    if path == "/responses":
        return {"output": [{"type": "message", "content": [part]}]}
    return {"type": "message", "content": [part]}


def stream_of(path: str, pieces: tuple[str, ...], *, escaped: bool) -> list[bytes]:
    whole = "".join(pieces)
    said: list[dict[str, Any]]
    if path == "/chat/completions":
        said = [{"choices": [{"index": 0, "delta": {"content": p}}]} for p in pieces]
        said.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    elif path == "/completions":
        said = [{"choices": [{"index": 0, "text": p}]} for p in pieces]
        said.append({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
    elif path == "/responses":
        at = {"output_index": 0, "content_index": 0}
        said = [{"type": "response.output_text.delta", **at, "delta": p} for p in pieces]
        said.append({"type": "response.output_text.done", **at, "text": whole})
        said.append({"type": "response.completed", "response": told(path, whole)})
    else:
        said = [
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": p}}
            for p in pieces
        ]
        said += [{"type": "content_block_stop", "index": 0}, {"type": "message_stop"}]
    return [b"data: " + json.dumps(each, ensure_ascii=escaped).encode() + b"\n\n" for each in said]


def heard(path: str, stream: str) -> list[str]:
    """What the pieces of a stream say together, and every text that it repeats whole."""
    said = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    if path == "/chat/completions":
        return ["".join(c["delta"].get("content", "") for e in said for c in e["choices"])]
    if path == "/completions":
        return ["".join(c["text"] for e in said for c in e["choices"])]
    if path == "/responses":
        whole = [e["text"] for e in said if "text" in e]
        last = [e["response"]["output"][0]["content"][0]["text"] for e in said if "response" in e]
        return ["".join(e.get("delta", "") for e in said), *whole, *last]
    return ["".join(e["delta"]["text"] for e in said if "delta" in e)]


@pytest.mark.parametrize("tongue", TONGUES)
@pytest.mark.parametrize("path", [path for path in REQUESTS if "tokens" not in path])
def test_words_of_any_script_are_cut_and_restored_on_every_surface(
    upstream: FakeUpstream, serve: Serve, path: str, tongue: str
) -> None:
    prompt, cut, pieces, restored = TONGUES[tongue]
    proxy = serve(steps=cutting_steps(cut))
    body = asked(path, prompt)
    for escaped in (True, False):
        given = json.dumps(told(path, "".join(pieces)), ensure_ascii=escaped).encode()
        upstream.reply(answer(given))
        assert post(proxy, path, body).json() == told(path, restored)
        sent = json.dumps(upstream.seen[-1].json, ensure_ascii=False)
        assert json.dumps(re.sub(cut, "", prompt), ensure_ascii=False)[1:-1] in sent
        chopped = b"".join(stream_of(path, pieces, escaped=escaped))
        upstream.reply(events(*(chopped[n : n + 1] for n in range(len(chopped)))))
        got = post(proxy, path, {**body, "stream": True})
        assert set(heard(path, got.text)) == {restored}


def test_a_count_is_of_what_would_be_sent_and_nothing_is_restored_in_it(
    upstream: FakeUpstream, serve: Serve
) -> None:
    upstream.reply(answer(b'{"input_tokens": 12, "note": "SHORT"}'))
    got = post(serve(steps=fake_steps()), "/messages/count_tokens", REQUESTS["/messages"])
    assert got.json() == {"input_tokens": 12, "note": "SHORT"}


def test_what_was_only_counted_is_not_taken_for_cached(
    upstream: FakeUpstream, serve: Serve
) -> None:
    upstream.reply(answer(b'{"input_tokens": 12}'))
    policy = {"compressor": "extractive", "rate": 0.5, "min_tokens": 0}
    proxy = serve(policies={"half": policy}, policy="half")
    for n in range(8):
        content = f"{PASSAGES * 4}\n\nQuestion: What did gauge {n} show?"
        messages = [{"role": "user", "content": content}]
        post(proxy, "/messages/count_tokens", {"model": "claude-sonnet-4-5", "messages": messages})
        assert proxy.receipt().gate == ""


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
