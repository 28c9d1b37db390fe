"""Everything passes byte for byte, both ways, unless a policy is in force."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from conftest import Proxy
from fake_upstream import DONE, Cut, FakeUpstream, Hang, Reply, answer, delta, events
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Serve = Callable[..., Proxy]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def raw_request(port: int, text: bytes) -> bytes:
    """Sends bytes and reads until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        s.sendall(text)
        out = b""
        while piece := s.recv(65536):
            out += piece
        return out


BODIES = st.binary(max_size=40_000)


def test_any_body_is_relayed_unchanged_both_ways(upstream: FakeUpstream, serve: Serve) -> None:
    proxy = serve()
    with httpx.Client(base_url=proxy.url) as client:

        @settings(max_examples=25, suppress_health_check=list(HealthCheck))
        @given(BODIES, BODIES)
        def check(asked: bytes, answered: bytes) -> None:
            upstream.reply(answer(answered))
            got = client.post("/embeddings", content=asked)
            assert sha(upstream.seen[-1].body) == sha(asked)
            assert sha(got.content) == sha(answered)

        check()


ODD_BODIES = [
    b'{"model": "m", "messages": [], "a": 1.0, "b": 1e400, "c": 123456789012345678901234567890}',
    b'{"model":"m","model":"n","messages":[{"role":"user","content":"x","content":"y"}]}',
    '{"messages":[{"role":"user","content":"\\ud83d\\ude00 \\u00e9 é 한국어"}]}'.encode(),
    b'  {"messages"\n:\t[ ],"unknown_field":{"deep":[null,true]}}  \n',
]


@pytest.mark.parametrize("body", ODD_BODIES)
def test_a_chat_request_under_policy_off_is_relayed_unchanged(
    upstream: FakeUpstream, serve: Serve, body: bytes
) -> None:
    said = b'{ "id":"x" , "choices":[], "unknown": 1.0 }'
    upstream.reply(answer(said, headers=[("X-Request-Id", "req_1"), ("Openai-Version", "v")]))
    proxy = serve(policy="off")
    got = httpx.post(proxy.url + "/chat/completions", content=body)
    assert sha(upstream.seen[0].body) == sha(body)
    assert sha(got.content) == sha(said)
    assert got.headers["x-request-id"] == "req_1"
    assert got.headers["x-unabridged-policy"] == "off"


def test_path_and_query_reach_the_upstream_as_they_were_written(
    upstream: FakeUpstream, serve: Serve
) -> None:
    proxy = serve()
    out = raw_request(
        proxy.port,
        b"GET /v1/files/a%2Fb%20c/content?x=%41&y=1;2&z HTTP/1.1\r\n"
        b"Host: localhost\r\nConnection: close\r\n\r\n",
    )
    assert out.startswith(b"HTTP/1.1 200")
    assert upstream.seen[0].target == "/v1/files/a%2Fb%20c/content?x=%41&y=1;2&z"


def test_headers_are_kept_in_order_and_case_but_for_what_is_ours(
    upstream: FakeUpstream, serve: Serve
) -> None:
    proxy = serve()
    raw_request(
        proxy.port,
        b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost:1\r\nX-Zebra: 1\r\n"
        b"Authorization: Bearer sk\r\n"
        b"OpenAI-Organization: org\r\nX-Twice: a\r\nX-Twice: b\r\nConnection: close, X-Private\r\n"
        b"X-Private: gone\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: Basic x\r\n"
        b"X-Unabridged-Policy: fake\r\nx-unabridged: off\r\nContent-Length: 2\r\n\r\n{}",
    )
    sent = upstream.seen[0].headers
    names = [name.lower() for name, _ in sent]
    assert names == [
        "host", "x-zebra", "authorization", "openai-organization", "x-twice", "x-twice",
        "content-length",
    ]  # fmt: skip
    assert [v for k, v in sent if k.lower() == "x-twice"] == ["a", "b"]
    assert upstream.seen[0].header("host") == f"127.0.0.1:{upstream.port}"


def test_headers_of_the_answer_are_kept_but_for_hop_by_hop(
    upstream: FakeUpstream, serve: Serve
) -> None:
    headers = [
        ("Content-Type", "application/json"), ("X-Request-Id", "r"), ("Date", "yesterday"),
        ("Server", "theirs"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"),
        ("X-RateLimit-Remaining-Tokens", "7"), ("Retry-After-Ms", "12"),
        ("Connection", "X-Hop"), ("X-Hop", "gone"), ("Keep-Alive", "timeout=5"),
    ]  # fmt: skip
    upstream.reply(Reply(status=429, headers=headers, pieces=[b"{}"]))
    got = httpx.get(serve().url + "/models")
    assert got.status_code == 429
    assert [(k.lower(), v) for k, v in got.headers.multi_items()] == [
        *((k.lower(), v) for k, v in headers[:8]),
        ("content-length", "2"),
    ]


def test_an_encoded_answer_is_passed_on_encoded(upstream: FakeUpstream, serve: Serve) -> None:
    encoded = b"\x1f\x8bnot really gzip"
    upstream.reply(answer(encoded, headers=[("Content-Encoding", "gzip")]))
    connection = http.client.HTTPConnection("127.0.0.1", serve(policy="off").port)
    connection.request("POST", "/v1/chat/completions", b'{"messages":[]}')
    got = connection.getresponse()
    assert got.getheader("content-encoding") == "gzip"
    assert got.read() == encoded
    assert upstream.seen[0].header("accept-encoding") == "identity"  # http.client's own


def test_a_redirect_is_given_to_the_client_and_not_followed(
    upstream: FakeUpstream, serve: Serve
) -> None:
    upstream.reply(Reply(status=307, headers=[("Location", "http://127.0.0.1:1/")]))
    got = httpx.get(serve().url + "/files/1/content")
    assert (got.status_code, got.headers["location"]) == (307, "http://127.0.0.1:1/")
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("status", [201, 204, 304, 404, 418, 529])
def test_any_status_reaches_the_client(upstream: FakeUpstream, serve: Serve, status: int) -> None:
    framing = "none" if status in (204, 304) else "length"
    upstream.reply(Reply(status=status, framing=framing))
    assert httpx.delete(serve().url + "/files/1").status_code == status


@pytest.mark.parametrize("status", [204, 304])
def test_a_length_of_what_is_not_sent_does_no_harm(
    upstream: FakeUpstream, serve: Serve, status: int
) -> None:
    head = b"HTTP/1.1 %d None\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n" % status
    upstream.reply(Reply(recorded=head))
    proxy = serve()
    with httpx.Client() as client:
        for _ in range(2):
            assert client.get(proxy.url + "/files/1/content").status_code == status
    assert "internal error" not in proxy.log.getvalue()


def test_head_tells_the_length_of_what_get_would_bring(
    upstream: FakeUpstream, serve: Serve
) -> None:
    upstream.reply(answer(b"12345"))
    got = httpx.head(serve().url + "/files/1/content")
    assert (got.headers["content-length"], got.content) == ("5", b"")


def test_a_large_upload_is_passed_on_while_it_comes_in(
    upstream: FakeUpstream, serve: Serve
) -> None:
    proxy = serve()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as s:
        s.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(20):
            s.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        s.sendall(b"0\r\n\r\n")
        assert s.recv(15) == b"HTTP/1.1 200 OK"
    assert upstream.seen[0].body == b"x" * 0x4000 * 20
    assert upstream.seen[0].header("transfer-encoding") == "chunked"


def test_what_is_not_held_may_be_larger_than_what_is(upstream: FakeUpstream, serve: Serve) -> None:
    url = serve(server={"max_body_bytes": 5000}).url
    large = b"x" * 400_000
    assert httpx.post(url + "/files", content=large).status_code == 200
    assert upstream.seen[0].body == large
    assert httpx.post(url + "/chat/completions", content=large).status_code == 413


def test_an_answer_is_passed_on_while_it_comes(upstream: FakeUpstream, serve: Serve) -> None:
    upstream.reply(Reply(pieces=[b"first", 0.5, b"last"], framing="chunked"))
    url = serve().url + "/files/1/content"
    start = time.monotonic()
    with httpx.stream("GET", url) as got:
        pieces = got.iter_raw()
        assert next(pieces) == b"first"
        waited = time.monotonic() - start
        assert b"".join(pieces) == b"last"
    assert waited < 0.45


def test_a_stream_of_events_keeps_its_bytes_and_chunks(
    upstream: FakeUpstream, serve: Serve
) -> None:
    parts = [delta("a"), b": comment\r\n\r\n", delta("\u00e9"), b'data: {"x":1.0}\n\n', DONE]
    upstream.reply(events(*(p for part in parts for p in (part, 0.02))))
    proxy = serve(policy="off")
    body = {"messages": [], "stream": True}
    with httpx.stream("POST", proxy.url + "/chat/completions", json=body) as got:
        assert got.headers["x-accel-buffering"] == "no"
        assert got.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert list(got.iter_raw()) == parts


def test_a_stream_that_breaks_off_ends_with_an_error_event(
    upstream: FakeUpstream, serve: Serve
) -> None:
    upstream.reply(events(delta("a"), b'data: {"choi', 0.02, Cut))
    proxy = serve()
    body = {"messages": [], "stream": True}
    got = httpx.post(proxy.url + "/chat/completions", json=body)
    last = got.content.split(b"\n\n")[-2]
    assert got.content.startswith(delta("a") + b'data: {"choi\n\n')
    assert set(json.loads(last.removeprefix(b"data: "))["error"]) == {
        "message", "type", "param", "code",
    }  # fmt: skip
    assert proxy.receipt().ended == "broken off"


def test_a_stream_with_a_length_that_breaks_off_does_not_look_complete(
    upstream: FakeUpstream, serve: Serve
) -> None:
    sized = [("Content-Type", "text/event-stream"), ("Content-Length", "1000")]
    upstream.reply(Reply(headers=sized, pieces=[delta("a"), 0.02, Cut]))
    proxy = serve()
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(proxy.url + "/chat/completions", json={"messages": [], "stream": True})
    assert proxy.receipt().ended == "broken off"
    assert "internal error" not in proxy.log.getvalue()


def test_a_stream_without_framing_that_just_stops_ends_with_an_error_event(
    upstream: FakeUpstream, serve: Serve
) -> None:
    upstream.reply(events(delta("a"), framing="none"), events(delta("a"), DONE, framing="none"))
    url = serve().url + "/chat/completions"
    body = {"messages": [], "stream": True}
    assert b'"error"' in httpx.post(url, json=body).content
    assert httpx.post(url, json=body).content == delta("a") + DONE


def test_a_silent_stream_is_given_up_after_the_idle_time(
    upstream: FakeUpstream, serve: Serve
) -> None:
    upstream.reply(events(delta("a"), Hang))
    proxy = serve(upstream={"idle_seconds": 0.2})
    got = httpx.post(proxy.url + "/chat/completions", json={"messages": [], "stream": True})
    assert b"upstream_timeout" in got.content


def test_an_answer_that_breaks_off_does_not_look_complete(
    upstream: FakeUpstream, serve: Serve
) -> None:
    upstream.reply(Reply(pieces=[b"half", 0.02, Cut], framing="chunked"))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(serve().url + "/files/1/content")


@pytest.mark.parametrize("length", [3, 300])
@pytest.mark.parametrize("path", ["/files/1/content", "/chat/completions"])
def test_an_answer_with_a_length_and_chunks_is_as_long_as_its_chunks(
    upstream: FakeUpstream, serve: Serve, path: str, length: int
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % length
    upstream.reply(Reply(recorded=head + b"5\r\nwhole\r\n0\r\n\r\n"))
    got = httpx.post(serve().url + path, json={"messages": []})
    assert (got.content, got.headers.get("content-length")) == (b"whole", None)


@pytest.mark.parametrize("path", [b"/v1/../admin", b"/v1/%2e%2e/admin", b"/v1/x/%2E./../y"])
def test_a_path_cannot_climb_out_of_the_upstream(
    upstream: FakeUpstream, serve: Serve, path: bytes
) -> None:
    request = b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert raw_request(serve().port, request).startswith(b"HTTP/1.1 400")
    assert upstream.seen == []


@pytest.mark.parametrize("path", [b"/%76%31/files/1", b"/v%31/chat/completions", b"//v1/files/1"])
def test_the_prefix_counts_as_it_is_written(
    upstream: FakeUpstream, serve: Serve, path: bytes
) -> None:
    """What follows so many bytes goes on: of /v%31/files, that was 31/files."""
    head = b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    request = head + b"Content-Length: 2\r\n\r\n{}"
    assert raw_request(serve().port, request).startswith(b"HTTP/1.1 404")
    assert upstream.seen == []


def leaves(proxy: Proxy, upstream: FakeUpstream, body: dict[str, Any], after: bytes) -> float:
    """Seconds between the client's leaving and the upstream's noticing."""
    data = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as s:
        s.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(data), data)
        )
        upstream.wait_seen()
        seen = b""
        while after not in seen:
            seen += s.recv(65536)
        gone = time.monotonic()
    upstream.wait_left()
    return upstream.left[0] - gone


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_before_the_first_byte_cancels_the_upstream_call(
    upstream: FakeUpstream, serve: Serve, stream: bool
) -> None:
    upstream.reply(Reply(before=[Hang]))
    proxy = serve()
    assert leaves(proxy, upstream, {"messages": [], "stream": stream}, b"") < 0.1
    assert proxy.receipt().ended == "client gone"


def test_a_client_that_leaves_in_mid_stream_cancels_the_upstream_call(
    upstream: FakeUpstream, serve: Serve
) -> None:
    upstream.reply(events(delta("a"), Hang))
    proxy = serve()
    assert leaves(proxy, upstream, {"messages": [], "stream": True}, delta("a")) < 0.1
    assert proxy.receipt().ended == "client gone"


def test_connections_are_not_lost_when_clients_leave(upstream: FakeUpstream, serve: Serve) -> None:
    proxy = serve()
    for _ in range(30):
        upstream.reply(events(delta("a"), Hang))
        upstream.seen.clear()
        upstream.left.clear()
        leaves(proxy, upstream, {"messages": [], "stream": True}, delta("a"))
    pool = proxy.app.exchange.upstreams.members["default"].upstream._way
    end = time.monotonic() + 2
    while len(pool) and time.monotonic() < end:
        time.sleep(0.01)
    assert len(pool) == 0
