"""LiteLLM's proxy, whose compression guardrail calls our /v1/compress before it asks its model."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

READY_SECONDS = 240
CONFIG = """\
model_list:
  - model_name: gpt-4o-mini
    litellm_params: {{model: openai/gpt-4o-mini, api_base: "{upstream}", api_key: sk-test}}
general_settings: {{master_key: sk-1234}}
guardrails:
  - guardrail_name: shorter
    litellm_params:
      guardrail: headroom
      mode: pre_call
      api_base: "{root}"
      api_key: "{key}"
      default_on: true
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def litellm_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """LiteLLM's proxy, with nothing but its own configuration."""
    place = tmp_path_factory.mktemp("litellm")
    config = place / "config.yaml"
    root = os.environ["UNABRIDGED_TEST_URL"].removesuffix("/v1")
    upstream, key = os.environ["UNABRIDGED_TEST_UPSTREAM"], os.environ["UNABRIDGED_TEST_KEY"]
    config.write_text(CONFIG.format(upstream=upstream, root=root, key=key))
    port = free_port()
    command = [str(Path(sys.executable).parent / "litellm"), "--config", str(config)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    environment = {
        **os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }  # fmt: skip
    with (place / "log").open("wb") as log:
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert running.poll() is None, (place / "log").read_text()[-2000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        running.terminate()
        running.wait(30)


def asked(url: str, ask: Any, **more: Any) -> bytes:
    """LiteLLM leaves the last messages of both sides alone, so the documents come from a tool
    that was called before."""
    documents, question = ask.text().split("\n\n")
    call = {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "What do the notes say of bridges?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": documents},
        {"role": "assistant", "content": "What do you want to know of them?"},
        {"role": "user", "content": question},
    ]
    body = {"model": "gpt-4o-mini", "messages": messages, **more}
    request = urllib.request.Request(
        url + "/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer sk-1234", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read()[:2000]) from None


@pytest.mark.timeout(300)
def test_litellm_sends_on_what_we_have_shortened(ask: Any, litellm_url: str) -> None:
    got = json.loads(asked(litellm_url, ask))
    assert got["choices"][0]["message"]["content"].startswith("The Forth Bridge")
    assert ask.shortened()


@pytest.mark.timeout(300)
def test_litellm_streams_the_answer_to_what_we_have_shortened(ask: Any, litellm_url: str) -> None:
    got = asked(litellm_url, ask, stream=True).decode()
    chunks = [json.loads(line[6:]) for line in got.splitlines() if line.startswith("data: {")]
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    assert text == "The Forth Bridge was designed by Fowler and Baker."
    assert ask.shortened()
