"""A chat request is shortened and its answer restored; whatever fails of ours, it goes through."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from conftest import Proxy, fake_compress, fake_steps
from fake_upstream import DONE, FakeUpstream, answer, completion, delta, events

Serve = Callable[..., Proxy]

PROMPT = "0123456789" * 20
BODY = {"model": "gpt-4o", "x": 1.0, "messages": [{"role": "user", "content": PROMPT}]}


def post(proxy: Proxy, body: Any = BODY, **headers: str) -> httpx.Response:
    return httpx.post(proxy.url + "/chat/completions", json=body, headers=headers, timeout=10)


def boom(*_: Any, **__: Any) -> Any:
    raise RuntimeError(f"boom with the prompt in it: {PROMPT}")


def sent_text(upstream: FakeUpstream) -> str:
    return str(upstream.seen[-1].json["messages"][0]["content"])


def test_a_prompt_leaves_shortened_and_the_answer_comes_back_restored(
    upstream: FakeUpstream, serve: Serve
) -> None:
    upstream.reply(completion("It is SHORT."))
    got = post(serve(steps=fake_steps()))
    assert upstream.seen[0].json == {
        **BODY,
        "messages": [{"role": "user", "content": PROMPT[:100]}],
    }
    assert got.json()["choices"][0]["message"]["content"] == "It is SHORTENED."
    assert int(got.headers["content-length"]) == len(got.content)
    told = {k: v for k, v in got.headers.items() if k.startswith("x-unabridged-")}
    assert float(told.pop("x-unabridged-ms")) >= 0
    assert told == {
        "x-unabridged-policy": "fake",
        "x-unabridged-cache": "miss",
        "x-unabridged-tokens-before": "200",
        "x-unabridged-tokens-after": "100",
        "x-unabridged-recovered": "1",
    }


def test_a_streamed_answer_is_restored_while_it_passes(
    upstream: FakeUpstream, serve: Serve
) -> None:
    upstream.reply(events(b"data: SHO", b"RT and S", 0.2, b"o\n\n", DONE))
    proxy = serve(steps=fake_steps())
    with httpx.stream("POST", proxy.url + "/chat/completions", json={**BODY, "stream": True}) as r:
        assert "x-unabridged-recovered" not in r.headers
        assert b"".join(r.iter_raw()) == b"data: SHORTENED and So\n\n" + DONE
    assert proxy.receipt().recovered == 1
    assert upstream.seen[0].header("accept-encoding") == "identity"


CITED = """Answer from the documents and cite them.

<document>
The harbour of Avelin was built in 1612 and is used by fishers of the town to this day.
</document>
<document>
The mill of Borrow burned down twice, and each time the owner built a larger one.
</document>
<document>
Potatoes came to the valley late, when a widow planted them behind the old church.
</document>

Question: When did potatoes come to the valley?"""


@pytest.mark.parametrize(("citations", "number"), [("by place", "3"), ("as said", "1")])
@pytest.mark.parametrize("stream", [False, True])
def test_a_citation_counts_the_callers_documents_where_the_policy_says_so(
    upstream: FakeUpstream, serve: Serve, citations: str, number: str, stream: bool
) -> None:
    policy = {"compressor": "extractive", "rate": 0.4, "min_tokens": 0, "citations": citations}
    proxy = serve(policies={"fake": {**policy, "deadline_ms": 60_000}})
    upstream.reply(
        events(delta("Late ["), delta("1"), delta("]."), DONE)
        if stream
        else completion("Late [1].")
    )
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": CITED}], "stream": stream}
    got = post(proxy, body).text
    assert "Avelin" not in sent_text(upstream)
    assert "Potatoes" in sent_text(upstream)
    lines = [line[6:] for line in got.splitlines() if line[6:7] == "{"] if stream else [got]
    choices = [json.loads(line)["choices"][0] for line in lines]
    told = [c["delta"] if stream else c["message"] for c in choices]
    assert "".join(said.get("content", "") for said in told) == f"Late [{number}]."


def test_what_is_held_back_comes_before_the_error_of_a_stream_that_breaks_off(
    upstream: FakeUpstream, serve: Serve
) -> None:
    from fake_upstream import Cut

    upstream.reply(events(b"data: x\n\ndata: SHO", 0.02, Cut))
    got = post(serve(steps=fake_steps()), {**BODY, "stream": True})
    assert got.content.startswith(b"data: x\n\ndata: SHO\n\ndata: {")
    assert b"upstream_unreachable" in got.content


FAILING = ["split", "allot", "compress", "render"]


@pytest.mark.parametrize("step", FAILING)
def test_a_step_that_raises_sends_the_original_and_says_which(
    upstream: FakeUpstream, serve: Serve, step: str
) -> None:
    upstream.reply(completion("It is SHORT."))
    proxy = serve(steps=fake_steps(**{step: boom}))
    sent = json.dumps(BODY).encode()
    got = httpx.post(proxy.url + "/chat/completions", content=sent)
    assert got.status_code == 200
    assert upstream.seen[0].body == sent
    assert got.json()["choices"][0]["message"]["content"] == "It is SHORT."
    named = "plan" if step == "allot" else step
    assert got.headers["x-unabridged-reason"] == f"{named} failed: RuntimeError"
    assert proxy.receipt().failed_step == named


@pytest.mark.parametrize("step", ["index", "restore_answer"])
def test_a_restoration_that_raises_lets_the_answer_through(
    upstream: FakeUpstream, serve: Serve, step: str
) -> None:
    upstream.reply(completion("It is SHORT."))
    got = post(serve(steps=fake_steps(**{step: boom})))
    assert got.json()["choices"][0]["message"]["content"] == "It is SHORT."
    assert got.headers["x-unabridged-reason"] == "restore failed: RuntimeError"
    assert sent_text(upstream) == PROMPT[:100]


class FailingRestorer:
    """Fails on its third piece, with the second one still held back."""

    def __init__(self, index: Any, surface: str) -> None:
        self.held = b""
        self.fed = 0
        self.edits: list[str] = []

    def feed(self, piece: bytes) -> bytes:
        self.fed += 1
        out, self.held = self.held, piece
        if self.fed == 3:
            self.held = out
            raise RuntimeError
        return out

    def flush(self) -> bytes:
        return self.held


@pytest.mark.parametrize("restorer", [boom, FailingRestorer])
def test_a_stream_restorer_that_raises_loses_no_byte(
    upstream: FakeUpstream, serve: Serve, restorer: Any
) -> None:
    parts = [delta(str(i)) for i in range(6)] + [DONE]
    upstream.reply(events(*(p for part in parts for p in (part, 0.01))))
    proxy = serve(steps=fake_steps(stream_restorer=restorer))
    got = post(proxy, {**BODY, "stream": True})
    assert got.content == b"".join(parts)
    assert proxy.receipt().failed_step == "restore"


@pytest.mark.parametrize("rendered", ['{"messages": [', '{"messages": "' + "x" * 900 + '"}', "{}"])
def test_nothing_longer_or_broken_is_ever_sent(
    upstream: FakeUpstream, serve: Serve, rendered: str
) -> None:
    got = post(serve(steps=fake_steps(render=lambda _: rendered)))
    assert upstream.seen[0].json == BODY
    assert got.headers["x-unabridged-reason"].startswith("render failed")


def test_a_missed_deadline_sends_the_original(upstream: FakeUpstream, serve: Serve) -> None:
    def slow(*given: Any, **named: Any) -> Any:
        time.sleep(0.5)
        return fake_compress(*given, **named)

    policies = {"fake": {"compressor": "extractive", "deadline_ms": 100}}
    proxy = serve(steps=fake_steps(compress=slow), policies=policies)
    start = time.monotonic()
    got = post(proxy)
    assert time.monotonic() - start < 0.45
    assert upstream.seen[0].json == BODY
    assert got.headers["x-unabridged-reason"] == "compress missed the deadline of 100 ms"


def test_a_full_queue_sends_the_original(upstream: FakeUpstream, serve: Serve) -> None:
    go_on = threading.Event()

    def waiting(*given: Any, **named: Any) -> Any:
        go_on.wait(5)
        return fake_compress(*given, **named)

    policies = {"fake": {"compressor": "extractive", "deadline_ms": 5000}}
    proxy = serve(
        steps=fake_steps(compress=waiting),
        policies=policies,
        server={"workers": 1, "queue": 1},
        upstream={"cache_seconds": 0},  # or what was sent whole would be left whole
    )
    others = [threading.Thread(target=post, args=(proxy,)) for _ in range(2)]
    for other in others:
        other.start()
    end = time.monotonic() + 3
    while proxy.app.exchange.abridge.workers.waiting < 1:
        assert time.monotonic() < end
        time.sleep(0.005)
    got = post(proxy)
    go_on.set()
    for other in others:
        other.join()
    assert got.headers["x-unabridged-reason"] == "all workers are busy and the queue is full"
    assert sorted(len(s.json["messages"][0]["content"]) for s in upstream.seen) == [100, 100, 200]


def test_a_client_that_leaves_cancels_the_compression_and_nothing_is_sent(
    upstream: FakeUpstream, serve: Serve
) -> None:
    begun, stopped = threading.Event(), []

    def endless(*given: Any, checkpoint: Callable[[], None], **named: Any) -> Any:
        if PROMPT not in given[0].body:  # warming up
            return fake_compress(*given, **named)
        begun.set()
        while True:
            try:
                checkpoint()
            except BaseException:
                stopped.append(time.monotonic())
                raise
            time.sleep(0.005)

    policies = {"fake": {"compressor": "extractive", "deadline_ms": 10_000}}
    proxy = serve(steps=fake_steps(compress=endless), policies=policies)
    data = json.dumps(BODY).encode()
    with socket.create_connection(("127.0.0.1", proxy.port)) as s:
        s.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(data), data)
        )
        assert begun.wait(3)
        gone = time.monotonic()
    assert proxy.receipt().ended == "client gone"
    while not stopped:
        assert time.monotonic() - gone < 2
        time.sleep(0.002)
    assert stopped[0] - gone < 0.1
    assert upstream.seen == []


def test_our_object_in_the_body_is_obeyed_and_taken_out(
    upstream: FakeUpstream, serve: Serve
) -> None:
    proxy = serve(steps=fake_steps())
    post(proxy, {**BODY, "unabridged": {"off": True}})
    assert upstream.seen[0].json == BODY
    post(proxy, {**BODY, "unabridged": {"policy": "off"}})
    assert upstream.seen[1].json == BODY
    post(proxy, {**BODY, "unabridged": {"rate": 0.3}})
    assert sent_text(upstream) == PROMPT[:100]
    assert "unabridged" not in upstream.seen[2].json


def test_our_headers_are_obeyed_and_taken_out(upstream: FakeUpstream, serve: Serve) -> None:
    proxy = serve(steps=fake_steps())
    post(proxy, **{"x-unabridged": "off"})
    post(proxy, **{"x-unabridged-policy": "off"})
    assert [s.json for s in upstream.seen] == [BODY, BODY]
    assert all(not k.startswith("x-unabridged") for s in upstream.seen for k, _ in s.headers)


def error_of(got: httpx.Response) -> tuple[int, str]:
    error = got.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return got.status_code, error["code"]


@pytest.mark.parametrize("text", [b"{", b"", b"[]", b'"x"', b"\xff\xfe{}", b'{"a":1} x'])
def test_what_is_not_a_json_object_is_refused(
    upstream: FakeUpstream, serve: Serve, text: bytes
) -> None:
    got = httpx.post(serve().url + "/chat/completions", content=text)
    assert error_of(got) == (400, "bad_json")
    assert upstream.seen == []


def test_unknown_and_forbidden_overrides_are_refused(upstream: FakeUpstream, serve: Serve) -> None:
    proxy = serve(policies={"fake": {"compressor": "extractive", "allow": ["policy"]}})
    assert error_of(post(proxy, **{"x-unabridged-policy": "of"})) == (400, "unknown_policy")
    assert error_of(post(proxy, {**BODY, "unabridged": {"rat": 1}})) == (400, "bad_override")
    assert error_of(post(proxy, {**BODY, "unabridged": {"rate": 0.5}})) == (
        403,
        "override_not_allowed",
    )
    assert upstream.seen == []
    assert proxy.receipt().ended == "refused"


def test_a_body_over_the_limit_is_refused_while_it_comes_in(
    upstream: FakeUpstream, serve: Serve
) -> None:
    proxy = serve(server={"max_body_bytes": 5000})
    url = proxy.url + "/chat/completions"
    announced = httpx.post(url, content=b"x" * 5001)
    counted = httpx.post(url, content=(b"x" * 1000 for _ in range(6)))
    assert error_of(announced) == error_of(counted) == (413, "body_too_large")


def test_an_upstream_that_is_down_or_slow_is_told_apart(
    upstream: FakeUpstream, serve: Serve
) -> None:
    from fake_upstream import Hang, Reply

    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        down = serve(upstream={"url": f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"})
        assert error_of(post(down)) == (502, "upstream_unreachable")
    upstream.reply(Reply(before=[Hang]))
    slow = serve(upstream={"first_byte_seconds": 0.1, "connect_seconds": 0.1})
    assert error_of(post(slow)) == (504, "upstream_timeout")


def test_an_error_of_the_upstream_reaches_the_client_as_it_is(
    upstream: FakeUpstream, serve: Serve
) -> None:
    said = b'{"error": {"message": "SHORT", "type": "t", "param": null, "code": null}}'
    upstream.reply(answer(said, status=429, headers=[("Retry-After", "3")]))
    proxy = serve(steps=fake_steps())
    for stream in (False, True):
        got = post(proxy, {**BODY, "stream": stream})
        assert (got.status_code, got.content) == (429, said)
        assert got.headers["retry-after"] == "3"


def test_an_answer_that_comes_encoded_all_the_same_is_passed_on(
    upstream: FakeUpstream, serve: Serve
) -> None:
    upstream.reply(answer(b"\x1f\x8bSHORT", headers=[("Content-Encoding", "x-odd")]))
    got = post(serve(steps=fake_steps()))
    assert got.content == b"\x1f\x8bSHORT"
    assert got.headers["content-encoding"] == "x-odd"


def test_neither_prompt_nor_credential_reaches_the_log(
    upstream: FakeUpstream, serve: Serve
) -> None:
    proxy = serve(steps=fake_steps(compress=boom))
    post(proxy, authorization="Bearer sk-very-secret")
    post(
        proxy, {**BODY, "unabridged": {"policy": "nonesuch"}}, authorization="Bearer sk-very-secret"
    )
    proxy.receipt()
    proxy.app.exchange.receipts.close()
    lines = [json.loads(line) for line in proxy.log.getvalue().splitlines()]
    assert [line["ended"] for line in lines] == ["complete", "refused"]
    assert "0123456789" not in proxy.log.getvalue()
    assert "very-secret" not in proxy.log.getvalue()


def test_requests_at_the_same_time_do_not_mix(upstream: FakeUpstream, serve: Serve) -> None:
    upstream.reply(lambda seen: completion(seen.json["messages"][0]["content"]))
    proxy = serve(steps=fake_steps())

    def one(n: int) -> None:
        text = f"{n:04}" * 30
        body = {"messages": [{"role": "user", "content": text}]}
        answers.append(post(proxy, body).json()["choices"][0]["message"]["content"] == text[:60])

    answers: list[bool] = []
    threads = [threading.Thread(target=one, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 20


def test_a_compressed_body_is_opened_shortened_and_sent_plain(
    upstream: FakeUpstream, serve: Serve
) -> None:
    proxy = serve(steps=fake_steps())
    packed = gzip.compress(json.dumps(BODY).encode())
    got = httpx.post(
        proxy.url + "/chat/completions", content=packed, headers={"content-encoding": "gzip"}
    )
    assert got.status_code == 200
    assert upstream.seen[0].header("content-encoding") is None
    assert len(upstream.seen[0].json["messages"][0]["content"]) < len(
        BODY["messages"][0]["content"]
    )
    off = serve(policy="off")
    httpx.post(off.url + "/chat/completions", content=packed, headers={"content-encoding": "gzip"})
    assert upstream.seen[1].body == packed
    assert upstream.seen[1].header("content-encoding") == "gzip"


def test_a_bomb_is_refused_and_so_is_what_is_no_gzip(upstream: FakeUpstream, serve: Serve) -> None:
    proxy = serve(server={"max_body_bytes": 100_000})
    for content, told in (
        (gzip.compress(bytes(10**7)), (413, "body_too_large")),
        (b"\x00not", (400, "bad_json")),
    ):
        got = httpx.post(
            proxy.url + "/chat/completions", content=content, headers={"content-encoding": "gzip"}
        )
        assert error_of(got) == told
    assert upstream.seen == []
