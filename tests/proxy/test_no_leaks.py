"""No word of a prompt or answer, and no credential, reaches a log, metric, span, error or disk.

One proxy is run through all that can happen to a request, with words and secrets planted in every
place where a caller or an upstream can put them; then everything that came out is searched.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Proxy, config_for, fake_steps, serving
from fake_upstream import Cut, FakeUpstream, answer, completion, delta, events, streamed
from otlp_collector import Collector, collecting
from page_client import DOCUMENTS, soon

WORDS = ("quixotrope", "vermillisaur", "Brontograph", "마법고양이", "zyzzanswer")
"""In prompts and answers, and nowhere else in the world."""
CALLER, OPERATOR, ADMIN = ("sk-caller-" + "c" * 40, "sk-operator-" + "o" * 40, "adm-" + "a" * 40)
SECRETS = (CALLER, OPERATOR, ADMIN, "s3ss1onc00kie", "b4sicpassw0rd")
PROMPT = f"{DOCUMENTS} {' '.join(WORDS[:4])}.\n\nQuestion: Where is the {WORDS[0]} {WORDS[2]}?"
REPLY = f"The {WORDS[0]} is a {WORDS[4]} of {WORDS[3]}."


def chat(proxy: Proxy, **fields: Any) -> httpx.Response:
    headers = {
        "authorization": f"Bearer {CALLER}",
        "cookie": "session=s3ss1onc00kie",
        "x-api-key": CALLER,
        **fields.pop("headers", {}),
    }
    body = fields.pop("raw", None) or json.dumps(
        {"model": "gpt-4o", "messages": [{"role": "user", "content": PROMPT}], **fields}
    )
    url = f"{proxy.url}{fields.pop('path', '/chat/completions')}"
    return httpx.post(url, content=body.encode(), headers=headers, timeout=30)


def go_away(proxy: Proxy) -> None:
    """Sends a request and closes the connection at once."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": PROMPT}]}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {CALLER}"
        f"\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        connection.sendall(head.encode() + body)


def raising(*_: Any, **__: Any) -> Any:
    raise ValueError(f"cannot work on {PROMPT} with {CALLER}")


def ours(found: httpx.Response) -> str:
    """An error that we have answered with; what the upstream said is the caller's own."""
    return found.text if found.status_code >= 400 else ""


def everything(proxy: Proxy, upstream: FakeUpstream, said: list[str]) -> None:
    """All that can happen to a request; what we say ourselves is put into `said`."""
    upstream.reply(completion(REPLY))
    for fields in ({}, {"headers": {"x-unabridged": "rate=0.3"}}, {"temperature": 0}):
        found = chat(proxy, **fields)
        said.append(str([(k, v) for k, v in found.headers.items() if k.startswith("x-una")]))
    upstream.reply(streamed(REPLY))
    chat(proxy, stream=True)
    upstream.reply(answer(json.dumps({"error": {"message": REPLY}}).encode(), status=500))
    chat(proxy)
    upstream.reply(events(delta(REPLY), Cut))
    chat(proxy, stream=True)
    upstream.reply(completion(REPLY))
    go_away(proxy)
    for raw in (
        f'{{"messages": "{WORDS[0]}", }}',
        f"{WORDS[0]} {CALLER}",
        f'["{WORDS[1]}"]',
        json.dumps({"model": "m", "messages": [{"role": "user", "content": WORDS}]}),
    ):
        said.append(ours(chat(proxy, raw=raw)))
    said.append(
        ours(chat(proxy, headers={"authorization": f"Basic {SECRETS[4]}", "x-api-key": ""}))
    )
    for path in ("/embeddings", "/models", "/nothing"):
        chat(proxy, path=path, input=PROMPT)
    said.append(httpx.get(f"{proxy.root}/elsewhere?q={WORDS[0]}&key={CALLER}").text)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as server:
        yield server


def assert_clean(where: str, text: str | bytes) -> None:
    raw = text.encode() if isinstance(text, str) else text
    escaped = tuple(json.dumps(word)[1:-1] for word in WORDS)
    for planted in (*WORDS, *escaped, *SECRETS):
        at = raw.find(planted.encode())
        assert at < 0, f"{planted!r} is in {where}: {raw[max(0, at - 200) : at + 60]!r}"


def run(tmp_path: Path, upstream: FakeUpstream, collector: Collector, **parts: Any) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"ci research {CALLER}\n")
    keys.chmod(0o600)
    policy = {"compressor": "extractive", "rate": 0.4, "min_tokens": 0, "keep_text_seconds": 60}
    config = config_for(
        upstream.url,
        upstream={"api_key_env": "UPSTREAM_KEY"},
        server={"keys_file": str(keys)},
        policies={"fake": policy},
        budgets=[{"name": "all", "window": "day", "limit": 100, "unknown_price": "allow"}],
    )
    environment = {
        "UPSTREAM_KEY": OPERATOR,
        "UNABRIDGED_ADMIN_KEY": ADMIN,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
    }
    said: list[str] = []
    state = tmp_path / "state"
    with serving(
        config, state, environment=environment, models=tmp_path / "none", **parts
    ) as proxy:
        everything(proxy, upstream, said)
        admin = {"authorization": f"Bearer {ADMIN}"}

        def counted() -> str:
            text = httpx.get(f"{proxy.root}/metrics", headers=admin).text
            return text if "unabridged_requests_total{" in text else ""

        said.append(soon(counted))
        page = httpx.Client(base_url=f"{proxy.root}/ui/api", headers=admin)
        for path in ("/overview?window=hour", "/requests", "/policies", "/keys", "/levels"):
            said.append(page.get(path).text)
        tracing = proxy.app.exchange.tracing
        assert tracing is not None
        tracing.stop()
        log = proxy.log.getvalue()
    assert log.count('"event": "request"') >= 8
    assert collector.bodies and collector.spans
    assert_clean("the log", log)
    for text in said:
        assert_clean("what we said", text)
    for body in collector.bodies:
        assert_clean("a trace", body)
    files = [path for path in state.rglob("*") if path.is_file()]
    assert any(path.name == "ledger.db" for path in files)
    for path in files:
        assert_clean(str(path.name), path.read_bytes())


@pytest.mark.slow
def test_nothing_that_was_planted_comes_out(
    tmp_path: Path,
    upstream: FakeUpstream,
    collector: Collector,
) -> None:
    run(tmp_path, upstream, collector)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["split", "compress", "index", "restore_answer"])
def test_an_exception_that_quotes_the_prompt_takes_it_nowhere(
    tmp_path: Path,
    upstream: FakeUpstream,
    collector: Collector,
    step: str,
) -> None:
    run(tmp_path, upstream, collector, steps=fake_steps(**{step: raising}))
