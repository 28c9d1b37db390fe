"""The server stops gently, and looks for garbage only where there may be some."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import sqlalchemy as sa
from conftest import RUN, config_for
from fake_upstream import DONE, FakeUpstream, Hang, Reply, delta, events

from unabridged.proxy.database import database_url, entries, open_database


@pytest.fixture
def process(upstream: FakeUpstream, tmp_path: Path):  # type: ignore[no-untyped-def]
    config = config_for(
        upstream.url, policies={"fake": {"compressor": "auto"}}, server={"grace_seconds": 1.5}
    )
    running = subprocess.Popen(
        [sys.executable, "-c", RUN, config.model_dump_json(), str(tmp_path / "s")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "REDIS_URL": ""},
    )
    assert running.stdout is not None
    yield running, running.stdout.readline().strip()
    # Killed, it would leave its store behind.
    running.send_signal(signal.SIGINT)
    try:
        running.communicate(timeout=15)
    finally:
        running.kill()


def test_a_stop_signal_lets_a_running_stream_finish(upstream: FakeUpstream, process) -> None:  # type: ignore[no-untyped-def]
    running, url = process
    upstream.reply(events(delta("a"), 0.7, delta("b"), DONE))
    body = {"messages": [], "stream": True}
    with httpx.stream("POST", url + "/chat/completions", json=body) as got:
        pieces = got.iter_raw()
        assert next(pieces) == delta("a")
        running.send_signal(signal.SIGTERM)
        assert b"".join(pieces) == delta("b") + DONE
    running.wait(10)
    assert '"ended": "complete"' in running.stderr.read()


def test_a_stream_that_outlives_the_grace_time_says_so_and_leaves_its_receipt(  # type: ignore[no-untyped-def]
    upstream: FakeUpstream, process
) -> None:
    running, url = process
    upstream.reply(events(delta("a"), b'data: {"cho', Hang))
    body = {"messages": [], "stream": True}
    with httpx.stream("POST", url + "/chat/completions", json=body, timeout=20) as got:
        pieces = got.iter_raw()
        assert next(pieces) == delta("a")
        running.send_signal(signal.SIGTERM)
        started = time.monotonic()
        *_, last = b"".join(pieces).split(b"\n\n")[:-1]
    assert 1.5 < time.monotonic() - started < 8
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "shutting_down"
    running.wait(10)
    said = running.stderr.read()
    assert said.count('"event": "request"') == said.count('"ended": "broken off"') == 1
    assert "Cancelled" not in said


def test_a_request_that_outlives_the_grace_time_is_refused(upstream: FakeUpstream, process) -> None:  # type: ignore[no-untyped-def]
    running, url = process
    upstream.reply(Reply(before=[Hang]))
    threading.Timer(0.5, running.send_signal, [signal.SIGTERM]).start()
    for_all = httpx.post(url + "/chat/completions", json={"messages": []}, timeout=20)
    assert (for_all.status_code, for_all.json()["error"]["code"]) == (503, "shutting_down")


@pytest.mark.parametrize("leaves", [True, False], ids=["left", "stayed"])
def test_what_is_read_on_for_its_cost_is_charged_before_the_end(
    upstream: FakeUpstream, tmp_path: Path, leaves: bool
) -> None:
    config = config_for(
        upstream.url,
        routes=[{"policy": "off", "on_disconnect": "drain"}],
        server={"grace_seconds": 0.5},
    )
    with subprocess.Popen(
        [sys.executable, "-c", RUN, config.model_dump_json(), str(tmp_path / "s")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "REDIS_URL": ""},
    ) as running:
        assert running.stdout is not None
        address = running.stdout.readline().strip()
        upstream.reply(events(delta("one two three"), Hang))
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
        with httpx.stream("POST", address + "/chat/completions", json=body, timeout=20) as got:
            pieces = got.iter_raw()
            assert next(pieces) == delta("one two three")
            if not leaves:
                running.send_signal(signal.SIGTERM)
                assert b"shutting_down" in b"".join(pieces)
        if leaves:
            time.sleep(0.3)
            running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=20)
    assert said.count('"event": "request"') == 1
    assert "Cancelled" not in said
    with open_database(database_url(None, tmp_path / "s")).connect() as connection:
        (line,) = connection.execute(sa.select(entries)).mappings()
    assert (line["basis"], line["output_tokens"]) == ("unpriced", 3)


def test_a_stop_leaves_no_process_behind(process, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    running, url = process
    assert httpx.get(url.removesuffix("/v1") + "/healthz").status_code == 200
    running.send_signal(signal.SIGINT)
    running.wait(10)
    found = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False)
    assert found.stdout == b""


@pytest.mark.parametrize("path", ["/chat/completions", "/embeddings"])
def test_who_offers_http_2_is_answered_in_http_1_and_loses_no_body(  # type: ignore[no-untyped-def]
    upstream: FakeUpstream, process, path: str
) -> None:
    """As Java's HttpClient does. What a body says of upgrades is the body's."""
    _, url = process
    body = b'{"messages": [], "x": "\r\n\r\nUpgrade: h2c"}'.replace(b"\r\n", b"\\r\\n")
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    head = (
        f"POST /v1{path} HTTP/1.1\r\nHost: localhost\r\n{offer}Content-Length: {len(body)}\r\n\r\n"
    )
    for pieces in ([head.encode() + body], [head.encode(), body]):
        with socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=5) as s:
            for piece in pieces:
                s.sendall(piece)
                time.sleep(0.1)
            assert s.recv(65536).startswith(b"HTTP/1.1 200")
        assert upstream.seen[-1].body == body
        assert upstream.seen[-1].header("http2-settings") is None


def test_an_upload_that_speaks_of_http_2_is_passed_on_as_it_is(  # type: ignore[no-untyped-def]
    upstream: FakeUpstream, process
) -> None:
    _, url = process
    body = b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"
    head = b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=5) as s:
        for piece in (head, body):
            s.sendall(piece)
            time.sleep(0.1)
        assert s.recv(65536).startswith(b"HTTP/1.1 200")
    assert upstream.seen[-1].body == body


def test_head_and_body_of_a_whole_answer_leave_as_one(upstream: FakeUpstream, process) -> None:  # type: ignore[no-untyped-def]
    _, url = process
    whole = b'HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{"choices": []}'
    upstream.reply(Reply(recorded=whole))
    there = urlsplit(url)
    body = b'{"messages": []}'
    with socket.create_connection((there.hostname, there.port), 10) as sock:
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        came = sock.recv(2**16)
    assert came.startswith(b"HTTP/1.1 200 OK\r\n")
    assert came.endswith(b'\r\n\r\n{"choices": []}')


def test_what_was_loaded_at_the_start_is_not_searched_for_garbage_again(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    code = RUN.replace("print(url,", "print(__import__('gc').get_freeze_count(),")
    config = config_for(upstream.url, policy="off")
    running = subprocess.Popen(
        [sys.executable, "-c", code, config.model_dump_json(), str(tmp_path / "s")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "REDIS_URL": ""},
    )
    assert running.stdout is not None
    # The price map alone is more.
    assert int(running.stdout.readline()) > 50_000
    running.terminate()
    running.communicate(timeout=20)
