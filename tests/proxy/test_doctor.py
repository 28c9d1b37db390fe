"""The doctor looks at real things and says what to do."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from receipt_world import book, receipt

from unabridged.policies.config import Config, Route, Server, Store, Upstream
from unabridged.policies.policy import Policy
from unabridged.proxy.cache import Breaker, RedisCache
from unabridged.proxy.doctor import Finding, examine, look_at, look_back
from unabridged.proxy.live import Live
from unabridged.proxy.overview import overview
from unabridged.proxy.serve import assemble
from unabridged.proxy.store import RECEIPTS, EmbeddedStore
from unabridged.proxy.store_client import connect


class Models(BaseHTTPRequestHandler):
    """Answers GET /v1/models as an upstream with one key does."""

    status = 200
    seen: list[str | None]

    def do_GET(self) -> None:
        server: Any = self.server
        server.seen.append((self.path, self.headers.get("authorization")))
        self.send_response(server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def upstream() -> Iterator[Any]:
    server: Any = HTTPServer(("127.0.0.1", 0), Models)
    server.status, server.seen = 200, []
    server.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def config(url: str, *, key: str | None = None, store: str | None = None, **policy: Any) -> Config:
    return Config(
        upstreams={"default": Upstream(url=url, api_key_env=key)},
        routes=(Route(policy="p"),),
        policies={"p": Policy(**{"compressor": "extractive", **policy})},
        store=Store(url=store),
        server=Server(port=int(nobody().rpartition(":")[2])),
    )


def see(
    cfg: Config, tmp_path: Path, environment: dict[str, str] | None = None
) -> dict[str, Finding]:
    findings = examine(
        cfg, state_dir=tmp_path / "state", models=tmp_path, environment=environment or {}
    )
    return {finding.what: finding for finding in findings}


def nobody() -> str:
    """A port where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_with_all_in_order_nothing_is_wrong(upstream: Any, tmp_path: Path) -> None:
    found = see(config(upstream.url), tmp_path)
    assert [f for f in found.values() if not f.well] == []
    assert set(found) == {
        "policies", "proxy", "upstream default", "store", "last requests", "last day"
    }  # fmt: skip
    assert found["proxy"].said.startswith("none answers at http://127.0.0.1:")
    assert found["last requests"].said == "none are on record yet"
    assert upstream.seen == [("/v1/models", None)]


def test_a_running_proxy_that_has_not_taken_the_newest_file_is_a_problem(
    tmp_path: Path, no_models: Path
) -> None:
    cfg = config("http://" + nobody() + "/v1")

    def refused() -> Config:
        raise ValueError("routes: no such policy")

    app = assemble(cfg, state_dir=tmp_path / "s", models=no_models, environment={})
    live = Live(app, reread=refused, file=None, say=lambda line: None)
    server = uvicorn.Server(uvicorn.Config(live, port=cfg.server.port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        end = time.monotonic() + 20
        while not see(cfg, tmp_path)["proxy"].said.endswith("is ready"):
            assert time.monotonic() < end
            time.sleep(0.1)
        live.reload()
        found = see(cfg, tmp_path)["proxy"]
        assert not found.well
        assert "older configuration" in found.said
    finally:
        server.should_exit = True
        thread.join(20)


def test_the_last_requests_are_read_from_the_store(upstream: Any, tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "state")
    store.start()
    try:
        lines = [
            {"before": 100, "got": 40, "policy": "p"},
            {"before": 100, "got": 100, "policy": "p", "reason": "shorter than 300 tokens"},
        ]
        cache = RedisCache(connect(store.url, timeout_ms=2000), Breaker())
        cache.push(RECEIPTS, [json.dumps(line) for line in lines], most=10)
        found = see(config(upstream.url), tmp_path)
        assert found["last requests"].said == (
            "1 of the last 2 were shortened\n1 x shorter than # tokens (policy 'p')"
        )
        cache.ping()  # the doctor leaves alone what was running before it came
    finally:
        store.stop()


def test_reasons_are_counted_and_a_failed_step_is_a_problem() -> None:
    short = {"before": 9, "got": 9, "reason": "too short", "policy": "auto"}
    failed = {"before": 9, "got": 9, "reason": "split failed: KeyError", "failed_step": "split"}
    said = look_back([short, failed, short, {"policy": "off"}])
    assert not said.well
    assert said.said.splitlines() == [
        "0 of the last 4 were shortened",
        "2 x too short (policy 'auto')",
        "1 x split failed: KeyError",
        "1 x not a prompt, or policy off (policy 'off')",
    ]
    assert look_back([short]).well


def test_the_last_day_is_told_as_the_page_tells_it(tmp_path: Path) -> None:
    pages = book(f"sqlite:///{tmp_path}/l.db", clock=time.time)
    now = time.time()
    counts = {"tokens_before": {"x": 100}, "tokens_after": {"x": 40}, "status": 200}
    late = {"failed_step": "compress", "reason": "compress missed the deadline of 9 ms"}
    pages.write(
        [
            (receipt(1, at=now, added_ms=7.0, cache="hit", **counts), None),
            (receipt(2, at=now, added_ms=9.0, status=200, **late), None),
        ]
    )
    day = overview(pages.engine, now_ms=int(now * 1000))
    found = look_at(day)
    assert not found.well
    assert found.said.splitlines() == [
        "0 requests in the ledger; receipts: 1 failed open, 1 shortened",
        "cost $0.00, saved $0.00 net (the median request: $0.00, 0% of its prompt)",
        "added by us: p50 8.0, p95 8.9, p99 9.0 ms",
        "found in the cache: 100%",
        "failed open: 1 x compress deadline",
    ]


def test_missing_weights_are_named_with_the_command_that_fetches_them(
    upstream: Any, tmp_path: Path
) -> None:
    scorer = f"path:{tmp_path / 'none'}"
    found = see(config(upstream.url, compressor="llmlingua", scorer=scorer), tmp_path)
    finding = found[f"model {scorer}"]
    assert not finding.well
    assert finding.said.endswith(f"policies p need it: unabridged models pull {scorer}")


def test_weights_that_are_there_are_named_with_their_place(upstream: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    found = see(config(upstream.url, compressor="auto", scorer=f"path:{tmp_path}"), tmp_path)
    assert found[f"model path:{tmp_path}"] == Finding(
        what=f"model path:{tmp_path}", well=True, said=f"in {tmp_path}"
    )


def test_an_unknown_source_of_weights_is_a_problem(upstream: Any, tmp_path: Path) -> None:
    found = see(config(upstream.url, compressor="llmlingua", scorer="llama"), tmp_path)
    assert "unknown source 'llama'" in found["model llama"].said


def test_an_upstream_that_wants_a_key_is_well_if_callers_bring_theirs(
    upstream: Any, tmp_path: Path
) -> None:
    upstream.status = 401
    finding = see(config(upstream.url), tmp_path)["upstream default"]
    assert finding.well
    assert "wants a key, which callers bring" in finding.said


def test_a_refused_key_of_the_operator_is_a_problem_and_never_shown(
    upstream: Any, tmp_path: Path
) -> None:
    upstream.status = 401
    environment = {"THE_KEY": "sk-secret"}
    finding = see(config(upstream.url, key="THE_KEY"), tmp_path, environment)["upstream default"]
    assert upstream.seen == [("/v1/models", "Bearer sk-secret")]
    assert not finding.well
    assert "refuses the operator's key" in finding.said
    assert "sk-secret" not in finding.said


def test_a_key_that_is_not_set_is_a_problem(upstream: Any, tmp_path: Path) -> None:
    finding = see(config(upstream.url, key="THE_KEY"), tmp_path)["upstream default"]
    assert "environment variable THE_KEY" in finding.said
    assert not finding.well
    assert upstream.seen == []


@pytest.mark.parametrize(("status", "well"), [(404, True), (500, False), (503, False)])
def test_an_upstream_without_a_list_of_models_is_well_and_a_broken_one_is_not(
    upstream: Any, tmp_path: Path, status: int, well: bool
) -> None:
    upstream.status = status
    finding = see(config(upstream.url), tmp_path)["upstream default"]
    assert finding.well is well
    assert f"status {status}" in finding.said


def test_an_upstream_that_is_down_is_a_problem_shown_without_its_password(tmp_path: Path) -> None:
    finding = see(config(f"http://me:hunter2@{nobody()}/v1"), tmp_path)["upstream default"]
    assert not finding.well
    assert "cannot be reached (ConnectError)" in finding.said
    assert "hunter2" not in finding.said


def test_a_store_that_is_down_is_a_problem_shown_without_its_password(
    upstream: Any, tmp_path: Path
) -> None:
    store = f"redis://:hunter2@{nobody()}"
    found = see(config(upstream.url, store=store), tmp_path)
    assert not found["store"].well
    assert "check REDIS_URL or store.url" in found["store"].said
    assert "hunter2" not in found["store"].said
