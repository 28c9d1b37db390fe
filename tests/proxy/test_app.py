"""Who may call, from where, and what is told to whom."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Proxy, fake_steps
from fake_upstream import FakeUpstream

from unabridged.proxy.scorers import Scorers

Serve = Callable[..., Proxy]
SECRET = "k" * 40


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    file.write_text(f"ann red {SECRET}\n")
    file.chmod(0o600)
    return file


def raw(proxy: Proxy, *lines: str) -> tuple[int, Any]:
    """Status and JSON of a GET with exactly these headers."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as s:
        text = "\r\n".join(["GET /v1/models HTTP/1.1", *lines, "Connection: close", "", ""])
        s.sendall(text.encode())
        out = b""
        while piece := s.recv(65536):
            out += piece
    head, _, body = out.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8790", "[::1]:8790", "app.localhost:1", "127.8.8.8"]
)
def test_an_open_proxy_serves_this_machine(serve: Serve, host: str) -> None:
    assert raw(serve(), f"Host: {host}")[0] == 200


@pytest.mark.parametrize(
    "lines",
    [["Host: evil.example"], ["Host: 10.0.0.1:8790"], ["Host: localhost.evil.example"],
     ["Host: localhost", "Origin: https://evil.example"], ["Host: localhost", "Origin: null"],
     ["Host: 127.0.0.1.evil.example"], ["Host: ["], ["Host: localhost", "Origin: http://["]],
)  # fmt: skip
def test_an_open_proxy_refuses_web_pages_of_other_sites(
    upstream: FakeUpstream, serve: Serve, lines: list[str]
) -> None:
    status, said = raw(serve(), *lines)
    assert (status, said["error"]["code"]) == (403, "foreign_site")
    assert upstream.seen == []


def test_a_page_of_this_machine_may_call(serve: Serve) -> None:
    assert raw(serve(), "Host: localhost", "Origin: http://localhost:3000")[0] == 200


def test_an_open_proxy_forwards_the_callers_own_credential(
    upstream: FakeUpstream, serve: Serve
) -> None:
    raw(serve(), "Host: localhost", "Authorization: Bearer sk-mine")
    assert upstream.seen[0].header("authorization") == "Bearer sk-mine"


def test_the_operators_key_takes_the_place_of_the_callers(
    upstream: FakeUpstream, serve: Serve
) -> None:
    proxy = serve(upstream={"api_key_env": "UP"}, environment={"UP": "sk-op"})
    raw(proxy, "Host: localhost", "Authorization: Bearer sk-mine", "X-Api-Key: sk-mine")
    assert upstream.seen[0].header("authorization") == "Bearer sk-op"
    assert b"sk-mine" not in upstream.seen[0].head


def test_a_key_of_ours_never_reaches_the_upstream(
    upstream: FakeUpstream, serve: Serve, keys_file: Path
) -> None:
    proxy = serve(server={"keys_file": str(keys_file)})
    assert raw(proxy, "Host: proxy.example", f"Authorization: Bearer {SECRET}")[0] == 200
    assert SECRET.encode() not in upstream.seen[0].head


@pytest.mark.parametrize("path", ["/chat/completions", "/models"])
def test_without_a_key_nothing_is_served(
    upstream: FakeUpstream, serve: Serve, keys_file: Path, path: str
) -> None:
    proxy = serve(server={"keys_file": str(keys_file)})
    for headers in ({}, {"authorization": "Bearer " + "x" * 40}):
        got = httpx.post(proxy.url + path, json={"messages": []}, headers=headers)
        assert (got.status_code, got.json()["error"]["code"]) == (401, "invalid_api_key")
    assert upstream.seen == []
    assert httpx.get(proxy.root + "/healthz").status_code == 200


def test_a_route_can_ask_for_the_key_and_the_receipt_names_it(
    upstream: FakeUpstream, serve: Serve, keys_file: Path
) -> None:
    proxy = serve(
        server={"keys_file": str(keys_file)},
        steps=fake_steps(),
        routes=[{"name": "red", "match": {"team": "red"}, "policy": "fake"}, {"policy": "off"}],
    )
    httpx.post(
        proxy.url + "/chat/completions",
        json={"messages": [{"role": "user", "content": "x" * 50}]},
        headers={"authorization": f"Bearer {SECRET}"},
    )
    receipt = proxy.receipt()
    assert (receipt.key, receipt.team, receipt.route, receipt.got) == ("ann", "red", "red", 25)


def test_a_named_site_may_call_an_open_proxy_and_all_sites_may_not(serve: Serve) -> None:
    site = "https://app.example"
    lines = ("Host: localhost", f"Origin: {site}")
    assert raw(serve(server={"allow_origins": [site]}), *lines)[0] == 200
    assert raw(serve(server={"allow_origins": ["*"]}), *lines)[0] == 403


@pytest.mark.parametrize("path", ["/", "/v2/models", "/v1", "/chat/completions"])
def test_what_is_not_under_v1_is_not_there(upstream: FakeUpstream, serve: Serve, path: str) -> None:
    got = httpx.get(serve().root + path)
    assert (got.status_code, got.json()["error"]["code"]) == (404, "not_found")
    assert upstream.seen == []


def test_readiness_waits_for_the_model_and_health_does_not(serve: Serve, tmp_path: Path) -> None:
    go_on = threading.Event()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")

    def load(place: Path) -> Any:
        go_on.wait(10)
        return object()

    source = f"path:{tmp_path / 'model'}"
    proxy = serve(
        policies={"fake": {"compressor": "llmlingua", "scorer": source}},
        scorers=Scorers(tmp_path, load),
        steps=fake_steps(),
    )
    assert httpx.get(proxy.root + "/healthz").json() == {"status": "ok"}
    got = httpx.get(proxy.root + "/readyz")
    assert (got.status_code, got.json()["status"]) == (503, "not ready")
    assert f"loading scorer {source}" in got.json()["waiting_for"]
    go_on.set()
    for _ in range(300):
        if (got := httpx.get(proxy.root + "/readyz")).status_code == 200:
            break
    assert got.json() == {"status": "ready", "waiting_for": []}


def test_an_unforeseen_error_tells_the_client_nothing_but_its_kind(
    upstream: FakeUpstream, serve: Serve
) -> None:
    def boom(text: str, surface: str) -> Any:
        raise RuntimeError("with the prompt in it: " + text)

    proxy = serve(steps=fake_steps(read=boom))
    got = httpx.post(proxy.url + "/chat/completions", json={"messages": ["hidden words"]})
    assert (got.status_code, got.json()["error"]["code"]) == (500, "internal_error")
    assert "RuntimeError" in got.json()["error"]["message"]
    proxy.app.exchange.receipts.close()
    assert "RuntimeError" in proxy.log.getvalue()
    assert "hidden" not in got.text + proxy.log.getvalue()
