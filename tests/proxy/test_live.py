"""The configuration changes while requests are under way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_upstream import DONE, FakeUpstream, completion, delta, events

from unabridged.compression.compress import COMPRESSORS
from unabridged.policies.load import load
from unabridged.proxy.live import Live
from unabridged.proxy.serve import assemble
from unabridged.proxy.server import Server

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}


@pytest.fixture
def other() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        running.reply(completion("from the other"))
        yield running


class Running:
    """A proxy that follows its file."""

    def __init__(self, file: Path, state: Path) -> None:
        self.file, self.said = file, list[str]()
        app = assemble(self.read(), state_dir=state, environment={}, models=state)
        self.live = Live(app, reread=self.read, file=file, say=self.said.append)
        ready = threading.Event()
        self.server = Server(self.live, lambda _: ready.set())
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        assert ready.wait(20)
        self.url = self.server.url

    def read(self) -> Any:
        return load(self.file, compressors=COMPRESSORS)

    def write(self, text: str) -> None:
        """As an editor does: a new file takes the place of the old one."""
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.file)

    def ask(self, **more: Any) -> httpx.Response:
        return httpx.post(self.url + "/chat/completions", json={**BODY, **more}, timeout=20)

    def wait_said(self, count: int = 1) -> str:
        end = time.monotonic() + 20
        while len(self.said) < count:
            assert time.monotonic() < end, "nothing was said of the file"
            time.sleep(0.02)
        return self.said[-1]


def text_for(url: str, more: str = "") -> str:
    return f"""
upstreams: {{default: {{url: {url}}}}}
routes: [{{policy: "off"}}]
server: {{port: 0, grace_seconds: 5}}
{more}"""


@pytest.fixture
def running(upstream: FakeUpstream, tmp_path: Path) -> Iterator[Running]:
    file = tmp_path / "unabridged.yaml"
    file.write_text(text_for(upstream.url))
    proxy = Running(file, tmp_path / "state")
    yield proxy
    proxy.server.should_exit = True
    proxy.thread.join(15)


def test_a_changed_file_counts_for_the_next_request(running: Running, other: FakeUpstream) -> None:
    assert "Hello." in running.ask().text
    running.write(text_for(other.url))
    assert running.wait_said() == "the configuration was reloaded"
    assert "from the other" in running.ask().text


def test_a_request_is_served_to_its_end_by_what_it_began_with(
    running: Running, upstream: FakeUpstream, other: FakeUpstream
) -> None:
    upstream.reply(events(delta("slow"), 4.0, delta(" end"), DONE))
    got: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: got.append(running.ask(stream=True)))
    asking.start()
    upstream.wait_seen(1)
    running.write(text_for(other.url))
    running.wait_said()
    assert "from the other" in running.ask().text
    asking.join(20)
    assert got[0].content.endswith(DONE)
    assert b" end" in got[0].content


def test_a_bad_file_keeps_the_old_one_and_says_why(
    running: Running, upstream: FakeUpstream
) -> None:
    running.write(text_for(upstream.url, "polices: {}"))
    said = running.wait_said()
    assert "not in force" in said
    assert "polices" in said
    assert "unabridged.yaml:5" in said
    assert "Hello." in running.ask().text
    health = httpx.get(running.url.removesuffix("/v1") + "/healthz").json()
    assert "log says why" in health["config"]
    running.write(text_for(upstream.url))
    assert running.wait_said(2) == "the configuration in force is the file's again"
    assert httpx.get(running.url.removesuffix("/v1") + "/healthz").json() == {"status": "ok"}


def test_what_only_a_restart_can_change_is_said(running: Running, upstream: FakeUpstream) -> None:
    running.write(text_for(upstream.url).replace("grace_seconds: 5", "grace_seconds: 6"))
    assert "after a restart" in running.wait_said()
    running.write(text_for(upstream.url).replace("port: 0", "port: 0, max_body_bytes: 1024"))
    assert "after a restart" in running.wait_said(2)
    assert running.ask(user="x" * 2000).status_code == 200


def process(file: Path, home: Path) -> tuple[subprocess.Popen[str], str]:
    environment = {**os.environ, "UNABRIDGED_HOME": str(home)}
    running = subprocess.Popen(
        [sys.executable, "-m", "unabridged", "serve", "--config", str(file)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert running.stdout is not None
    return running, running.stdout.readline().split()[1]


def test_hangup_reloads_and_term_turns_readiness_off_before_the_door_closes(
    upstream: FakeUpstream, other: FakeUpstream, tmp_path: Path
) -> None:
    file = tmp_path / "u.yaml"
    more = ", unready_seconds: 3"
    file.write_text(text_for(upstream.url).replace("grace_seconds: 5", "grace_seconds: 5" + more))
    running, url = process(file, tmp_path / "home")
    try:
        root = url.removesuffix("/v1")
        file.write_text(file.read_text().replace(upstream.url, other.url))
        running.send_signal(signal.SIGHUP)
        _until(lambda: "other" in httpx.post(url + "/chat/completions", json=BODY, timeout=20).text)
        running.send_signal(signal.SIGTERM)
        _until(lambda: httpx.get(root + "/readyz", timeout=20).status_code == 503)
        assert "shutting down" in httpx.get(root + "/readyz").json()["waiting_for"]
        assert httpx.post(url + "/chat/completions", json=BODY, timeout=20).status_code == 200
        assert running.wait(30) in (0, -signal.SIGTERM)
    finally:
        running.kill()


def _until(happened: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)
