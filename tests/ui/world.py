"""A proxy that has served real traffic: teams, keys, budgets, policies, failures, kept text."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "proxy"))

from conftest import Proxy, config_for, serving
from fake_upstream import DONE, FakeUpstream, Reply, Seen, answer, delta, events

ADMIN = "admin-" + "k" * 40
TEAMS = {"ada": "research", "ben": "support", "cleo": "small"}
"""Key and user, and whose team it is."""
HARBOURS = "\n\n".join(
    f"Document [{n}](Title: Harbour {n}) The harbour master of port {n} wrote the tides into a "
    f"green book. Nobody had seen lighthouse {n} dark since the winter of 19{n:02}."
    for n in range(11, 25)
)
HARBOUR_PROMPT = f"{HARBOURS}\n\nQuestion: Since when had nobody seen lighthouse 17 dark?"
KOREAN_PROMPT = (
    "\n\n".join(
        f"문서 [{n}](제목: 항구 {n}) {n}번 항구의 항만장은 조수를 초록색 책에 적었습니다. "
        f"19{n}년 겨울 이후로 아무도 {n}번 등대가 꺼진 것을 보지 못했습니다."
        for n in range(11, 25)
    )
    + "\n\n질문: 아무도 17번 등대가 꺼진 것을 보지 못한 것은 언제부터입니까?"
)
BRIDGES = (
    "Who is named in the documents? Copy every name.\n\n"
    "Document [1](Title: Forth Bridge) The Forth Bridge is a cantilever railway bridge across the"
    " Firth of Forth in the east of Scotland. Sir John Fowler and Sir Benjamin Baker designed it,"
    " and Sir William Arrol & Co. built it between 1882 and 1890. It was opened on 4 March 1890 by"
    " the Prince of Wales, who drove home the last rivet, which was gold plated.\n\n"
    "Document [2](Title: Tay Bridge) The first Tay Bridge was designed by Sir Thomas Bouch, who"
    " received a knighthood after Queen Victoria had crossed it. It fell on 28 December 1879 in a"
    " storm while a train from Edinburgh was passing. William Henry Barlow and Crawford Barlow"
    " designed the second bridge, which was built by William Arrol and opened on 13 July 1887."
)
MONEY = {
    "prices": {
        "gpt-4o-mini": {"input": 0.15, "output": 0.6, "cached": 0.075},
        "gpt-4o": {"input": 2.5, "output": 10, "cached": 1.25},
    }
}
BUDGETS = [
    {"name": "research", "match": {"team": "research"}, "limit": 0.02, "window": "month",
     "at": {"50%": {"rate": 0.4}, "100%": "refuse"}, "unknown_price": "allow"},
    {"name": "a day of tokens", "each": "user", "window": "day", "unit": "tokens",
     "limit": 60_000, "at": {"90%": "warn"}},
    {"name": "small", "match": {"team": "small"}, "window": "day", "unit": "requests", "limit": 3},
]  # fmt: skip
POLICIES = {
    "documents": {"compressor": "extractive", "rate": 0.4, "min_saving": 0.0, "min_tokens": 0},
    "kept": {
        "compressor": "llmlingua",
        "rate": 0.7,
        "min_tokens": 0,
        "deadline_ms": 60_000,
        "keep_text_seconds": 3600,
    },
    "hasty": {"compressor": "llmlingua", "rate": 0.5, "min_tokens": 0, "deadline_ms": 1},
}
ROUTES = [
    {"name": "names", "match": {"headers": {"x-wish": "names"}}, "policy": "kept"},
    {"name": "hasty", "match": {"headers": {"x-wish": "hasty"}}, "policy": "hasty"},
    {"name": "documents", "match": {"model": "gpt-4o*"}, "policy": "documents"},
    {"name": "the rest", "policy": "off"},
]


@dataclass(frozen=True, kw_only=True)
class World:
    """What the tests look at."""

    proxy: Proxy
    upstream: FakeUpstream
    state: Path
    keys: dict[str, str]
    """The secret by the key's name."""

    @property
    def page(self) -> str:
        return self.proxy.root + "/ui"

    @property
    def ledger(self) -> str:
        return f"sqlite:///{self.state / 'ledger.db'}"

    def ask(
        self, who: str, prompt: str = HARBOUR_PROMPT, *, model: str = "gpt-4o-mini",
        wish: str = "", stream: bool = False, **fields: Any,
    ) -> httpx.Response:  # fmt: skip
        """One request of a client, answered to its end."""
        return httpx.post(
            f"{self.proxy.url}/chat/completions",
            json={
                "model": model,
                "messages": [{"role": "user", "content": prompt}],
                "stream": stream,
                "max_tokens": 300,
                **fields,
            },
            headers={"authorization": f"Bearer {self.keys[who]}", "x-wish": wish},
            timeout=90,
        )

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the admin API."""
        said = httpx.request(
            method,
            f"{self.proxy.root}/unabridged/v1/{path}",
            json=body,
            headers={"authorization": f"Bearer {ADMIN}"},
            timeout=30,
        )
        assert said.status_code == 200, said.text
        return said.json()


@contextlib.contextmanager
def world(state: Path) -> Iterator[World]:
    """A proxy with keys, budgets and policies in front of an upstream that copies its prompt."""
    with FakeUpstream() as upstream:
        upstream.reply(copied)
        config = config_for(
            upstream.url,
            policies=POLICIES,
            routes=ROUTES,
            budgets=BUDGETS,
            money=MONEY,
            upstream={"tokenizer": "o200k_base"},
        )
        with serving(config, state, environment={"UNABRIDGED_ADMIN_KEY": ADMIN}) as proxy:
            made = World(proxy=proxy, upstream=upstream, state=state, keys={})
            for name, team in TEAMS.items():
                asked = {"name": name, "team": team, "user": name}
                made.keys[name] = made.admin("POST", "keys", asked)["secret"]
            wait(lambda: not proxy.app.unready(), "the weights were not loaded", 120)
            yield made


def copied(seen: Seen) -> Reply:
    """An answer that says what the prompt says, so that every name that was cut is in it."""
    asked = seen.json
    if asked.get("model") == "broken":
        return answer(b'{"error": {"message": "no such model"}}', status=404)
    text = str(asked["messages"][-1]["content"])[-1500:]
    usage = {"prompt_tokens": len(text) // 4, "completion_tokens": len(text) // 4}
    usage["total_tokens"] = sum(usage.values())
    if asked.get("stream"):
        last = {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": usage}
        words = [delta(text[at : at + 40]) for at in range(0, len(text), 40)]
        return events(*words, b"data: " + json.dumps(last).encode() + b"\n\n", DONE)
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": asked["model"],
            "choices": [{**choice, "finish_reason": "stop"}], "usage": usage}  # fmt: skip
    return answer(json.dumps(body).encode())


def traffic(made: World) -> None:
    """A morning's requests: shortened, restored, refused, failed, and some that were left alone."""
    for turn in range(4):
        made.ask("ada", HARBOUR_PROMPT.replace("17", str(12 + turn)), stream=turn % 2 == 0)
        made.ask("ben", model="gpt-4o")
    made.ask("ben", KOREAN_PROMPT)
    made.ask("ada", BRIDGES, wish="names")
    made.ask("ada", BRIDGES, wish="names", stream=True)
    made.ask("ben", BRIDGES + " Once more.", wish="hasty")
    made.ask("ben", "Hello.", model="other")
    made.ask("ben", "Hello.", model="broken")
    for _ in range(5):
        made.ask("cleo")


def wait(happened: Any, otherwise: str, seconds: float = 10.0) -> Any:
    """The first result that is not empty."""
    end = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < end, otherwise
        time.sleep(0.05)
    return found
