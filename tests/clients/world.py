"""A proxy in a process of its own, with policies, keys and a budget, before an upstream that
answers by what it is asked."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from answering import Answering
from fake_upstream import FakeUpstream

KEY = "an-app-with-room-0123456789abcdef-0123"
POOR = "an-app-without-room-0123456789abcdef-01"
READY_SECONDS = 60
CONFIG = """\
upstreams:
  default: {{url: "{url}"}}
routes:
  - policy: documents
policies:
  documents:
    compressor: extractive
    rate: 0.4
    min_tokens: 0
    deadline_ms: 20000
    keep: {{document: null}}
server: {{port: 0, keys_file: {keys}}}
budgets:
  - {{name: nothing, match: {{key: poor}}, window: total, unit: requests, limit: 1}}
"""


@dataclass(frozen=True, kw_only=True)
class World:
    url: str
    """Of the proxy: what a client calls its base URL."""
    upstream_url: str

    @property
    def environment(self) -> dict[str, str]:
        """What the clients' tests are told."""
        return {
            "UNABRIDGED_TEST_URL": self.url,
            "UNABRIDGED_TEST_KEY": KEY,
            "UNABRIDGED_TEST_POOR_KEY": POOR,
            "UNABRIDGED_TEST_UPSTREAM": self.upstream_url,
        }


@contextlib.contextmanager
def world(place: Path) -> Iterator[World]:
    """Keeps its files in `place`, an empty directory."""
    keys, config = place / "keys", place / "unabridged.yaml"
    keys.write_text(f"app makers {KEY}\npoor makers {POOR}\n")
    keys.chmod(0o600)
    with FakeUpstream() as upstream:
        upstream.reply(Answering(upstream))
        config.write_text(CONFIG.format(url=upstream.url, keys=keys))
        with proxy(config, place) as url:
            yield World(url=url, upstream_url=upstream.url)


@contextlib.contextmanager
def proxy(config: Path, place: Path) -> Iterator[str]:
    """`unabridged serve`; gives its base URL."""
    environment = {**os.environ, "UNABRIDGED_HOME": str(place / "state"), "REDIS_URL": ""}
    command = [sys.executable, "-m", "unabridged", "serve", "--config", str(config)]
    with (place / "proxy.log").open("wb") as log:
        running = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env=environment, text=True
        )
    late = threading.Timer(READY_SECONDS, running.kill)
    late.start()
    try:
        assert running.stdout is not None
        for line in running.stdout:
            if "http://" in line:
                late.cancel()
                yield next(word for word in line.split() if word.startswith("http://"))
                return
        raise RuntimeError((place / "proxy.log").read_text()[-2000:])
    finally:
        late.cancel()
        running.terminate()
        running.wait(40)
