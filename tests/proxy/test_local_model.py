"""The small model behind the OpenAI API, over a real socket and with the official client."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import uvicorn

from unabridged.compression.generate import ChatModel
from unabridged.proxy.local_model import application

ASK = [{"role": "user", "content": "When does the tide come in?"}]


@pytest.fixture(scope="module")
def model(tiny_causal_lm: Path) -> ChatModel:
    return ChatModel(tiny_causal_lm, threads=1)


@contextlib.contextmanager
def serving(model: Any) -> Iterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(application(model, "tiny"), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def url(model: ChatModel) -> Iterator[str]:
    with serving(model) as made:
        yield made


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as made:
        yield made


def test_it_names_its_model(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]


def test_the_official_client_reads_a_plain_answer(client: openai.OpenAI, model: ChatModel) -> None:
    answer = client.chat.completions.create(model="tiny", messages=ASK, max_tokens=9)
    [choice] = answer.choices
    assert choice.message.content == "".join(model.reply(ASK, max_tokens=9))
    assert choice.finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len(model.encode(ASK))
    assert answer.usage.completion_tokens == 9
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 9


def test_a_stream_says_the_same_as_the_plain_answer(client: openai.OpenAI) -> None:
    plain = client.chat.completions.create(model="tiny", messages=ASK, max_tokens=9)
    chunks = list(
        client.chat.completions.create(
            model="tiny",
            messages=ASK,
            max_tokens=9,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said == plain.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == plain.usage
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_without_usage_ends_with_done(url: str) -> None:
    body = {"messages": ASK, "max_tokens": 3, "stream": True}
    answer = httpx.post(f"{url}/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-request-id"].startswith("req_")
    *events, last, _ = answer.text.split("\n\n")
    assert last == "data: [DONE]"
    assert all("usage" not in json.loads(event.removeprefix("data: ")) for event in events)


def test_content_in_parts_reads_as_its_text(url: str) -> None:
    parts = [{"type": "text", "text": "When does the tide"}, {"type": "text", "text": " come in?"}]
    body = {"messages": [{"role": "user", "content": parts}], "max_tokens": 3}
    whole = {"messages": ASK, "max_tokens": 3}
    a, b = (httpx.post(f"{url}/chat/completions", json=x).json() for x in (body, whole))
    assert a["choices"] == b["choices"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"{}", "messages"),
        (b'{"messages": []}', "messages"),
        (b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": 0}', "max_tokens"),
        (b'{"messages": [{"role": "user", "content": "a"}], "n": 2}', "n"),
    ],
)
def test_a_bad_request_is_told_in_the_envelope(url: str, body: bytes, param: str | None) -> None:
    answer = httpx.post(f"{url}/chat/completions", content=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("stream", [False, True])
def test_too_long_a_chat_is_an_error_before_any_byte_of_an_answer(
    client: openai.OpenAI, stream: bool
) -> None:
    long = [{"role": "user", "content": "zebra " * 200}]
    with pytest.raises(openai.BadRequestError, match="window is 256") as caught:
        client.chat.completions.create(model="tiny", messages=long, stream=stream)
    assert caught.value.code == "context_length_exceeded"


def test_an_unknown_path_and_a_foreign_host_are_refused(url: str) -> None:
    missing = httpx.get(f"{url}/embeddings")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "not_found"
    assert httpx.get(f"{url}/models", headers={"host": "evil.example"}).status_code == 400


class Slow:
    """A model that never ends by itself."""

    made = 0
    stopped = False

    def reply(
        self, messages: object, *, checkpoint: Callable[[], None], **_: object
    ) -> Iterator[str]:
        try:
            while True:
                checkpoint()
                self.made += 1
                yield "on and "
                time.sleep(0.01)
        finally:
            self.stopped = True


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_stops_the_model(stream: bool) -> None:
    model = Slow()
    with serving(model) as url, httpx.Client(timeout=0.3) as client:
        body = {"messages": ASK, "stream": stream}
        ends = contextlib.nullcontext() if stream else pytest.raises(httpx.ReadTimeout)
        with ends, client.stream("POST", f"{url}/chat/completions", json=body) as answer:
            next(answer.iter_lines())
        deadline = time.monotonic() + 2
        while not model.stopped and time.monotonic() < deadline:
            time.sleep(0.01)
        assert model.stopped
        assert model.made > 0


def test_requests_at_once_are_answered_one_by_one(client: openai.OpenAI) -> None:
    said: list[str | None] = []

    def ask() -> None:
        answer = client.chat.completions.create(model="tiny", messages=ASK, max_tokens=9)
        said.append(answer.choices[0].message.content)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 5
    assert len(set(said)) == 1


@pytest.mark.slow
def test_the_module_serves_a_model_on_loopback(tiny_causal_lm: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "unabridged.proxy.local_model", "--port", str(port)]
    process = subprocess.Popen([*command, "--model", f"path:{tiny_causal_lm}"])
    try:
        for _ in range(300):
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/v1/models").status_code == 200
                break
            except httpx.TransportError:
                assert process.poll() is None
                time.sleep(0.1)
        else:
            pytest.fail("the model did not answer")
    finally:
        process.terminate()
        process.wait()
