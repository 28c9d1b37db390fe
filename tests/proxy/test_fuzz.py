"""Whatever bytes come, from either side: no crash, no hang, no broken JSON, no answer lost."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import Proxy
from fake_upstream import DONE, Cut, FakeUpstream, completion, delta, events
from mutations import TEXT, bodies, mutated_bodies, mutated_streams

from unabridged.proxy.relay import Chain
from unabridged.proxy.sse import Splitter
from unabridged.proxy.usage_stream import UsageStream
from unabridged.recovery.index import Index
from unabridged.recovery.stream import StreamRestorer

Serve = Callable[..., Proxy]
SAID = json.loads(completion("Fowler and Baker.").pieces[0])  # type: ignore[arg-type]
HEAD = {"Content-Type": "application/json", "Authorization": "Bearer sk-test"}


@contextlib.contextmanager
def talking(proxy: Proxy) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    try:
        yield connection
    finally:
        connection.close()


def strict(raw: bytes) -> Any:
    """The JSON value; None if it is none, or if a key stands twice in it."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError
        return dict(pairs)

    def refuse(text: str) -> Any:
        raise ValueError

    try:
        return json.loads(raw.decode(), object_pairs_hook=once, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None


def shape(value: Any) -> Any:
    """A JSON value without the texts that a policy may cut, and without what is ours."""
    if isinstance(value, dict):
        return {
            k: "" if k in ("content", "text") and isinstance(v, str) else shape(v)
            for k, v in value.items()
            if k != "unabridged"
        }
    return [shape(each) for each in value] if isinstance(value, list) else value


def send_all(upstream: FakeUpstream, proxy: Proxy, count: int, seed: int) -> dict[int, int]:
    """How often each status came."""
    upstream.reply(completion("Fowler and Baker."))
    statuses: dict[int, int] = {}
    with talking(proxy) as connection:
        for raw in mutated_bodies(count, seed):
            upstream.seen.clear()
            connection.request("POST", "/v1/chat/completions", body=raw, headers=HEAD)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            if answer.status != 200:
                assert answer.status in (400, 403), raw
                assert set(said["error"]) >= {"message", "type", "param", "code"}
                assert not upstream.seen
                continue
            assert said == SAID, raw
            (seen,) = upstream.seen
            assert len(seen.body) <= len(raw)
            wanted = strict(raw)
            if wanted is not None:
                got = strict(seen.body)
                assert shape(got) == shape(wanted), raw
    assert "Traceback" not in proxy.log.getvalue()
    assert '"level": "error"' not in proxy.log.getvalue()
    return statuses


def test_what_is_sent_on_is_what_was_meant_whatever_was_sent(
    upstream: FakeUpstream, serve: Serve
) -> None:
    statuses = send_all(upstream, serve(), 400, seed=1)
    assert statuses[200] > 100 and statuses[400] > 50


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_thousand_bodies(upstream: FakeUpstream, serve: Serve) -> None:
    assert sum(send_all(upstream, serve(), 20_000, seed=2).values()) == 20_000


# Streams


def event(**choice: Any) -> bytes:
    said = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(said, ensure_ascii=False).encode() + b"\n\n"


def stream_of(text: str, **more: Any) -> bytes:
    words = [event(index=0, delta={"content": word + " "}, **more) for word in text.split(" ")]
    last = event(index=0, delta={}, finish_reason="stop")
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
    return b"".join([*words, last, usage, DONE])


CALLS = [{"index": 0, "function": {"name": "f", "arguments": '{"who": "Wilhelm Röntg"}'}}]
ORIGINAL = "The Treaty of Ghent was signed. Wilhelm Röntgen discovered the rays."
LEFT = "The Treaty Gh was signed. Wilhelm Röntg discovered rays."
STREAMS = [
    stream_of("It was Wilhelm Röntg, long after the Treaty Gh."),
    stream_of("Wilhelm Röntg did.").replace(b"\n\n", b"\r\n\r\n"),
    event(index=0, delta={"tool_calls": CALLS}) + DONE,
    b": comment\n\n" + event(index=1, delta={"content": "Treaty Gh", "refusal": None}) + DONE,
    'event: x\ndata: {"type":"x","delta":"Röntg"}\n\n'.encode(),
]  # fmt: skip


def passed(pieces: list[bytes], index: Index, *, ours: bool = False) -> bytes:
    through = Chain(UsageStream(ours=ours), StreamRestorer(index))
    return b"".join([*(through.feed(piece) for piece in pieces), through.flush()])


def chopped(raw: bytes, rng: random.Random) -> list[bytes]:
    pieces, at = [], 0
    while at < len(raw):
        end = at + rng.choice([1, 2, 3, 7, 40, 500])
        pieces.append(raw[at:end])
        at = end
    return pieces


FOREIGN = Index.of_texts("Mackerel of Anstruther rose.", "Mackerel Anstr rose.")
KNOWN = Index.of_texts(ORIGINAL, LEFT)


def check_streams(count: int, seed: int) -> None:
    rng = random.Random(seed)
    for raw in mutated_streams(STREAMS, count, seed):
        pieces = chopped(raw, rng)
        assert passed(pieces, FOREIGN) == raw
        assert passed(pieces, KNOWN) == passed([raw], KNOWN)
        split = Splitter()
        events_of = [e for piece in pieces for e in split.feed(piece)]
        assert b"".join([*events_of, split.flush()]) == raw


def test_a_stream_is_the_same_however_broken_and_chopped() -> None:
    check_streams(300, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_five_thousand_streams() -> None:
    check_streams(5_000, seed=2)


@pytest.mark.parametrize("raw", [STREAMS[2], STREAMS[3]], ids=["tool call", "comment first"])
def test_a_stream_that_ends_at_any_byte_loses_none_before(raw: bytes) -> None:
    whole = passed([raw], KNOWN)
    assert len(whole) > len(raw)
    for end in range(len(raw)):
        cut = raw[:end]
        assert passed([cut], FOREIGN) == cut
        assert passed([cut[: end // 2], cut[end // 2 :]], KNOWN) == passed([cut], KNOWN)


def test_a_connection_that_breaks_at_any_byte_is_told_after_all_that_came(
    upstream: FakeUpstream, serve: Serve
) -> None:
    proxy = serve()
    raw = delta("Fowler ") + delta("and Baker.")
    asked = json.dumps({**bodies()[0], "stream": True}).encode()
    for end in range(1, len(raw), 9):
        upstream.reply(events(raw[:end], 0.005, Cut))
        with talking(proxy) as connection:
            connection.request("POST", "/v1/chat/completions", body=asked, headers=HEAD)
            got = connection.getresponse().read()
        before, found, error = got.rpartition(b"data: ")
        assert found and json.loads(error)["error"]["code"] == "upstream_unreachable"
        assert before.rstrip(b"\n") == raw[:end].rstrip(b"\n")
    assert "Traceback" not in proxy.log.getvalue()


def test_a_model_that_no_database_takes_is_told_in_the_log_like_any_other(
    upstream: FakeUpstream, serve: Serve
) -> None:
    # Half a surrogate pair ended the thread that writes receipts.
    proxy = serve()
    with talking(proxy) as connection:
        for model in ("\ud83d", "fine"):
            asked = json.dumps({**bodies()[0], "model": model}).encode()
            connection.request("POST", "/v1/chat/completions", body=asked, headers=HEAD)
            assert connection.getresponse().read()
    end = time.monotonic() + 5
    while len(proxy.app.recent(2)) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    proxy.app.exchange.receipts.close()
    assert '"model": "?"' in proxy.log.getvalue()
    assert '"model": "fine"' in proxy.log.getvalue()


def test_the_corpus_is_the_same_at_every_run() -> None:
    assert list(mutated_bodies(50)) == list(mutated_bodies(50))
    assert TEXT in json.dumps(bodies(), ensure_ascii=False).replace("\\\\", "\\")
