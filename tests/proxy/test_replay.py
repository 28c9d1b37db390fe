"""Recorded interactions go through unchanged with policies off; with policies on only prompt text
and restored spans differ, and the official library reads the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import openai
import pytest
from conftest import Proxy, cutting_steps
from differences import check_stream, check_whole, read_stream
from fake_upstream import FakeUpstream, Reply
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from recordings import SURFACES, Recording, own, real, real_file
from riddles import CUT, ORIGINAL, SHORT, answering, asking

from unabridged.compression.tokens import known_words
from unabridged.recovery.recover import recover

Serve = Callable[..., Proxy]
FILE = real_file()
REAL = real(FILE) if FILE else []
ALL = [*own(), *REAL]
TEXTS = {"content", "text", "input", "prompt", "arguments", "output", "instructions"}
READ: dict[str, tuple[Any, Any]] = {
    "/chat/completions": (ChatCompletion, ChatCompletionChunk),
    "/responses": (Response, ResponseStreamEvent),
    "/completions": (Completion, Completion),
    "/embeddings": (CreateEmbeddingResponse, None),
}
RESTORABLE = ("/chat/completions", "/responses", "/completions", "/messages")


def test_there_are_recordings_of_real_servers() -> None:
    if FILE is None:
        pytest.skip("no recordings of real servers: set UNABRIDGED_DATA to the folder with them")
    assert len(REAL) >= 50


def reply(recording: Recording) -> Reply:
    answer = recording.answer
    if b"text/event-stream" in str(recording.headers).encode():
        pieces = [answer[n : n + 200] for n in range(0, len(answer), 200)]
        return Reply(
            status=recording.status, headers=recording.headers, pieces=pieces, framing="chunked"
        )
    return Reply(status=recording.status, headers=recording.headers, pieces=[answer])


def sent(proxy: Proxy, recording: Recording) -> httpx.Response:
    return httpx.request(
        recording.method,
        proxy.url + recording.path,
        content=recording.body,
        headers={"content-type": "application/json", "authorization": "Bearer sk-test"},
        timeout=20,
    )


@pytest.mark.parametrize("recording", ALL, ids=lambda r: r.name)
def test_with_policies_off_both_ways_are_byte_for_byte(
    upstream: FakeUpstream, serve: Serve, recording: Recording
) -> None:
    upstream.reply(reply(recording))
    got = sent(serve(policy="off"), recording)
    assert upstream.seen[0].body == recording.body
    assert (got.status_code, got.content) == (recording.status, recording.answer)
    for name, value in recording.headers:
        assert got.headers[name] == value


def is_cut_of(short: str, long: str) -> bool:
    letters = iter(long)
    return all(letter in letters for letter in short)


def check_same_but_for_texts(got: Any, wanted: Any, key: str = "") -> None:
    if isinstance(wanted, dict):
        assert list(got) == list(wanted)
        for name in wanted:
            check_same_but_for_texts(got[name], wanted[name], name)
    elif isinstance(wanted, list):
        assert len(got) == len(wanted)
        for one, other in zip(got, wanted, strict=True):
            check_same_but_for_texts(one, other, key)
    elif isinstance(wanted, str) and key in TEXTS:
        assert is_cut_of(got, wanted)
    else:
        assert got == wanted and type(got) is type(wanted)


@pytest.mark.parametrize("recording", ALL, ids=lambda r: r.name)
def test_with_policies_on_only_prompt_text_is_cut(
    upstream: FakeUpstream, serve: Serve, recording: Recording
) -> None:
    upstream.reply(reply(recording))
    policy = {"compressor": "extractive", "rate": 0.4, "min_tokens": 0, "min_saving": 0.0}
    proxy = serve(policies={"short": policy}, policy="short")
    got = sent(proxy, recording)
    (seen,) = upstream.seen
    assert len(seen.body) <= len(recording.body)
    if recording.path in SURFACES:
        check_same_but_for_texts(json.loads(seen.body), recording.request)
    assert (got.status_code, got.content) == (recording.status, recording.answer)
    assert "Traceback" not in proxy.log.getvalue()


RESTORED = [r for r in ALL if r.path in RESTORABLE and r.status == 200 and r.readable]


def recovered(text: str) -> str:
    return recover(ORIGINAL, SHORT, text, known=known_words()).text


def test_each_surface_is_restored_whole_and_streamed() -> None:
    shapes = {(r.path, r.streams) for r in RESTORED}
    assert shapes == {(path, streams) for path in RESTORABLE for streams in (False, True)}


@pytest.mark.parametrize("recording", RESTORED, ids=lambda r: r.name)
def test_with_policies_on_only_prompt_text_and_restored_spans_differ(
    upstream: FakeUpstream, serve: Serve, recording: Recording
) -> None:
    recording = answering(asking(recording))
    upstream.reply(reply(recording))
    proxy = serve(steps=cutting_steps(CUT))
    got = sent(proxy, recording)
    assert upstream.seen[0].body == recording.body.replace(ORIGINAL.encode(), SHORT.encode())
    check = check_stream if recording.streams else check_whole
    check(recording.path, got.content, recording.answer, recovered)
    theirs = {k.lower(): v for k, v in recording.headers}
    assert theirs.items() <= dict(got.headers).items()
    assert (proxy.receipt().recovered == 0) == (got.content == recording.answer)
    check_read(proxy, recording, got.content)


def check_read(proxy: Proxy, recording: Recording, answer: bytes) -> None:
    """The official library reads an answer to its last field, if it is one of its own API's."""
    kinds = READ.get(recording.path)
    if kinds is None:
        return
    with openai.OpenAI(base_url=proxy.url, api_key="sk-test", max_retries=0) as client:
        if recording.streams:
            stream = client.post(
                recording.path, body=recording.request, cast_to=kinds[1], stream=True,
                stream_cls=openai.Stream[kinds[1]],
            )  # fmt: skip
            told = [event.tree for event in read_stream(recording.path, answer).events]
            assert [event.to_dict() for event in stream] == [tree for tree in told if tree]
        else:
            said = client.post(recording.path, body=recording.request, cast_to=kinds[0])
            assert said.to_dict() == json.loads(answer)


@pytest.mark.parametrize("recording", ALL, ids=lambda r: r.name)
def test_the_official_library_reads_the_answer(
    upstream: FakeUpstream, serve: Serve, recording: Recording
) -> None:
    kinds = READ.get(recording.path)
    if kinds is None or not recording.answer.startswith((b"{", b"data:", b"event:", b"<")):
        return  # it has no type for it, or the recording itself is encoded
    upstream.reply(reply(recording))
    proxy = serve(policies={"short": {"compressor": "extractive", "rate": 0.4, "min_tokens": 0}})
    with openai.OpenAI(base_url=proxy.url, api_key="sk-test", max_retries=0) as client:
        if recording.status >= 400:
            with pytest.raises(openai.APIStatusError) as told:
                client.post(recording.path, body=recording.request, cast_to=kinds[0])
            assert told.value.status_code == recording.status
        elif recording.request.get("stream"):
            stream = client.post(
                recording.path, body=recording.request, cast_to=kinds[1], stream=True,
                stream_cls=openai.Stream[kinds[1]],
            )  # fmt: skip
            events = recording.answer.count(b"data: ") - recording.answer.count(b"data: [DONE]")
            assert len(list(stream)) == events
        else:
            got = client.post(recording.path, body=recording.request, cast_to=kinds[0])
            assert got.to_dict() == json.loads(recording.answer)
