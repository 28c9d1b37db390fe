"""What is relayed under a budget is paid for, and otherwise left alone."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
from fake_upstream import FakeUpstream, answer, events
from test_spending import MONEY, budget, levels, lines


def test_a_relayed_stream_is_charged_by_its_last_event(upstream: FakeUpstream, serve: Any) -> None:
    last = (
        b'event: response.completed\ndata: {"type":"response.completed","response":{"usage":'
        b'{"input_tokens":5,"output_tokens":2}}}\n\n'
    )
    first = b'event: response.created\ndata: {"type":"response.created"}\n\n'
    upstream.reply(events(first, last))
    proxy = serve(money=MONEY, budgets=[budget()])
    body = {"model": "m", "input": "hi", "stream": True}
    got = httpx.post(f"{proxy.url}/responses", json=body)
    assert got.content == first + last
    (line,) = lines(proxy)
    assert (line["nano_usd"], line["basis"]) == (7_000_000, "measured")


def test_an_opaque_body_is_for_unknown_price_to_decide(upstream: FakeUpstream, serve: Any) -> None:
    upstream.reply(answer(b"{}"))
    packed = gzip.compress(b'{"model":"m","input":"x"}')
    headers = {"content-encoding": "x-odd"}
    strict = serve(money=MONEY, budgets=[budget()])
    got = httpx.post(f"{strict.url}/embeddings", content=packed, headers=headers)
    assert got.json()["error"]["code"] == "unpriced_model"
    assert upstream.seen == []


def test_an_opaque_body_that_is_let_through_passes_as_it_is(
    upstream: FakeUpstream, serve: Any
) -> None:
    upstream.reply(answer(b"{}"))
    packed = gzip.compress(b'{"model":"m","input":"x"}')
    proxy = serve(money=MONEY, budgets=[budget(unknown_price="allow")])
    got = httpx.post(
        f"{proxy.url}/embeddings", content=packed, headers={"content-encoding": "x-odd"}
    )
    assert got.status_code == 200
    assert upstream.seen[0].body == packed
    (line,) = lines(proxy)
    assert line["basis"] == "unpriced"
    assert levels(proxy) == (0, 0)


def test_what_is_held_to_be_counted_has_a_limit(upstream: FakeUpstream, serve: Any) -> None:
    limit = {"max_body_bytes": 5000}
    proxy = serve(money=MONEY, budgets=[budget(unknown_price="allow")], server=limit)
    got = httpx.post(f"{proxy.url}/files", content=b"x" * 400_000)
    assert (got.status_code, got.json()["error"]["code"]) == (413, "body_too_large")
    assert upstream.seen == []


def test_what_cannot_cost_anything_is_not_counted(upstream: FakeUpstream, serve: Any) -> None:
    upstream.reply(answer(b"{}"))
    proxy = serve(money=MONEY, budgets=[budget(limit=0)])
    assert httpx.get(f"{proxy.url}/models").status_code == 200
    assert httpx.delete(f"{proxy.url}/files/1").status_code == 200


def test_a_key_that_is_held_to_models_is_held_to_them_on_every_path(
    upstream: FakeUpstream, serve: Any
) -> None:
    """No budget is in force, and nothing else has the body looked into."""
    upstream.reply(answer(b"{}"))
    proxy = serve()
    ring = proxy.app.callers._ring
    secret, _ = ring.create(name="a", org="acme", now_ms=1, models=["small-*"])
    ring.refresh()
    headers = {"authorization": f"Bearer {secret}"}

    def ask(path: str, content: bytes) -> int:
        return httpx.post(proxy.url + path, content=content, headers=headers).status_code

    for path in ("/embeddings", "//chat/completions", "/chat/completions/", "/images/generations"):
        body = b'{ "model": "small-1", "input": 1.50}'
        assert ask(path, body) == 200
        assert upstream.seen[-1].body == body
        assert ask(path, b'{"model": "large", "input": "x"}') == 403
        assert ask(path, b"opaque") == 403
        assert ask(path, b'{"model": "large", "input": "x", "model": "small-1"}') == 403
    assert len(upstream.seen) == 4
    assert (
        ask("/chat/completions", b'{"model": "large", "messages": [], "model": "small-1"}') == 403
    )
    assert len(upstream.seen) == 4
    assert httpx.get(proxy.url + "/models", headers=headers).status_code == 200
