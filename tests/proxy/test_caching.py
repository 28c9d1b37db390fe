"""Contexts are compressed once and the provider's cache is kept, through real proxies and a real
store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from caching_world import (
    MODEL,
    Process,
    Provider,
    asked_by,
    asking,
    breaks,
    conversation,
    document,
    naively,
    proxies,
    question,
    recorded,
    replayed,
)
from conftest import Proxy, config_for
from fake_upstream import FakeUpstream

from unabridged.compression.tokens import counter

HALF = {"compressor": "extractive", "rate": 0.5, "min_tokens": 0, "deadline_ms": 30_000}


def ask(proxy: Proxy, body: dict[str, Any], **headers: str) -> httpx.Response:
    got = httpx.post(f"{proxy.url}/chat/completions", json=body, headers=headers, timeout=60)
    assert got.status_code == 200, got.text
    return got


def served(got: httpx.Response) -> tuple[str, str]:
    return got.headers["x-unabridged-cache"], got.headers.get("x-unabridged-cache-depth", "")


@pytest.mark.slow
def test_another_question_or_rate_over_a_known_document_starts_from_its_scores(
    upstream: FakeUpstream, serve: Any, tiny_causal_lm: Path
) -> None:
    scored = {**HALF, "compressor": "llmlingua", "scorer": f"path:{tiny_causal_lm}"}
    policies = {"fake": scored, "less": {**scored, "rate": 0.3}}
    proxy = serve(policies=policies, store={"timeout_ms": 2000})
    while httpx.get(proxy.root + "/readyz").status_code != 200:
        pass
    first = asking(document(1), about=question(1))
    assert served(ask(proxy, first)) == ("miss", "")
    assert served(ask(proxy, first)) == ("hit", "plan")
    assert served(ask(proxy, asking(document(1), about=question(2)))) == ("part", "scores")
    less = ask(proxy, {**first, "unabridged": {"policy": "less"}})
    assert served(less) == ("part", "scores")
    assert served(ask(proxy, asking(document(2), about=question(1)))) == ("miss", "")


@pytest.mark.parametrize("share, neighbour", [("org", "hit"), ("team", "miss")])
def test_contexts_are_shared_as_far_as_the_policy_says_and_never_across_organisations(
    upstream: FakeUpstream, serve: Any, share: str, neighbour: str
) -> None:
    proxy = serve(policies={"fake": {**HALF, "cache_share": share}}, store={"timeout_ms": 2000})
    ring = proxy.app.callers._ring
    told = {}
    for org, team in (("acme", "red"), ("acme", "blue"), ("other", "red")):
        secret, _ = ring.create(name=f"{org}-{team}", org=org, team=team, user="u", now_ms=1)
        told[org, team] = f"Bearer {secret}"
    ring.refresh()
    body = asking(document(1), about=question(1))
    uses = {
        who: ask(proxy, body, authorization=key).headers["x-unabridged-cache"]
        for who, key in told.items()
    }
    assert uses == {("acme", "red"): "miss", ("acme", "blue"): neighbour, ("other", "red"): "miss"}


def test_savings_are_what_the_bill_would_have_been_less_what_it_is(
    upstream: FakeUpstream, serve: Any
) -> None:
    """A second provider gets the same conversation uncut."""
    ours, without = Provider(), Provider()
    upstream.reply(ours)
    proxy = serve(policies={"fake": HALF}, store={"timeout_ms": 2000})
    net = gross = 0
    for number, body in enumerate(conversation(5), 1):
        without.answer(body)
        ask(proxy, body)
        receipt = settled(proxy, number)
        net += receipt.saved_nano_usd or 0
        gross += receipt.gross_nano_usd or 0
    assert ours.cached, "the provider has found the beginnings it knew"
    a_token = 250  # nano-dollars
    saved = (without.bill - ours.bill) * a_token
    assert net == pytest.approx(saved, rel=0.1)
    assert 0 < net < 0.7 * gross


def test_cutting_what_the_provider_has_cached_is_told_as_a_loss(
    upstream: FakeUpstream, serve: Any
) -> None:
    upstream.reply(Provider())
    policies = {"fake": {**HALF, "rate": 0.95}}
    proxy = serve(policies=policies, store={"timeout_ms": 2000})
    body = asking(*map(document, range(4)), about=question(1))
    ask(proxy, body)
    settled(proxy, 1)
    ask(proxy, {**body, "unabridged": {"rate": 0.5}})
    receipt = settled(proxy, 2)
    assert receipt.saved_nano_usd is not None
    assert receipt.saved_nano_usd < 0 < (receipt.gross_nano_usd or 0)


def settled(proxy: Proxy, number: int) -> Any:
    """The newest of so many receipts."""
    end = time.monotonic() + 10
    while len(proxy.app.recent()) < number:
        assert time.monotonic() < end
        time.sleep(0.01)
    return proxy.app.recent(1)[0]


@pytest.mark.slow
def test_each_turn_of_a_recorded_conversation_begins_with_the_bytes_of_the_one_before(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    """Over two replicas, their restarts, and a store that was emptied."""
    requests = asked_by(recorded())
    [sent] = replayed([requests], upstream, tmp_path)
    assert len(sent) == len(requests) == 8
    assert breaks(sent) == 0
    assert len(sent[-1]) < 0.8 * len(json.dumps(requests[-1]))


def on_every_surface() -> dict[str, dict[str, Any]]:
    """One request for each path that is compressed, each over a document of its own."""

    def said(number: int) -> str:
        return f"{document(number)}\n\n{question(number)}"

    return {
        "/v1/chat/completions": {"messages": [{"role": "user", "content": said(1)}]},
        "/v1/responses": {"input": said(2)},
        "/v1/completions": {"prompt": said(3)},
        "/v1/messages": {"max_tokens": 9, "messages": [{"role": "user", "content": said(4)}]},
    }


@pytest.mark.slow
def test_what_was_warmed_beforehand_is_a_hit_on_every_surface(
    upstream: FakeUpstream, serve: Any, tmp_path: Path
) -> None:
    parts = {"policies": {"fake": HALF}, "store": {"timeout_ms": 2000}}
    proxy = serve(**parts)
    file = tmp_path / "same.json"
    file.write_text(config_for(upstream.url, **parts).model_dump_json(exclude_defaults=True))
    for path, asked in on_every_surface().items():
        body = {"model": MODEL, **asked}
        (tmp_path / "body.json").write_text(json.dumps(body))
        done = subprocess.run(
            [sys.executable, "-m", "unabridged", "cache", "warm", str(tmp_path / "body.json"),
             "--path", path, "--config", str(file)],
            env={**os.environ, "UNABRIDGED_HOME": str(tmp_path / "state")},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "1 compressed" in done.stdout
        got = httpx.post(proxy.root + path, json=body, timeout=60)
        assert served(got) == ("hit", "plan"), path


@pytest.mark.slow
def test_many_requests_over_few_documents_compress_each_once(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    with proxies(2, upstream.url, tmp_path) as both:
        uses = spread(both, [n % 10 for n in range(100)])
        assert uses == {"miss": 10, "hit": 90}
        assert compressed(both, 100) == 10


@pytest.mark.slow
def test_a_hundred_requests_at_once_over_one_document_compress_it_once(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    with proxies(2, upstream.url, tmp_path) as both:
        assert spread(both, [0] * 100, at_once=100) == {"miss": 1, "hit": 99}
        assert compressed(both, 100) == 1
    assert len({seen.body for seen in upstream.seen}) == 1


def spread(both: Any, documents: list[int], at_once: int = 16) -> Counter[str]:
    """How the cache served one request for each, given to the proxies in turn."""

    def one(number: int) -> str:
        body = asking(document(documents[number], 200), about=question(1))
        got = both[number % len(both)].ask(body)
        assert got.status_code == 200, got.text
        return str(got.headers["x-unabridged-cache"])

    with ThreadPoolExecutor(at_once) as pool:
        return Counter(pool.map(one, range(len(documents))))


def compressed(both: list[Process], requests: int) -> int:
    """Requests for which a compressor ran."""
    found = [r for each in both for r in each.receipts(requests // len(both))]
    assert len(found) == requests
    return sum("compress" in receipt["milliseconds"] for receipt in found)


@pytest.mark.slow
def test_a_prompt_that_is_known_is_not_worked_on_again(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    body = asking(*map(document, range(8)), about=question(1))
    with proxies(1, upstream.url, tmp_path) as [proxy]:
        for _ in range(30):
            proxy.ask(body)
        first, *known = (receipt["milliseconds"] for receipt in proxy.receipts(30))
    worked = {"split", "plan", "gate", "compress"}
    assert worked <= set(first)
    assert not any(worked & set(steps) for steps in known)
    assert sorted(steps["abridge"] for steps in known)[15] < first["abridge"] / 2


@pytest.mark.slow
def test_a_conversation_over_replicas_costs_less_than_without_a_proxy_or_cut_anew_each_time(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    ours, without = Provider(), Provider()
    upstream.reply(ours)
    with proxies(2, upstream.url, tmp_path) as both:
        for turn, body in enumerate(conversation(8)):
            without.answer(body)
            assert both[turn % 2].ask(body).status_code == 200
    assert ours.cached
    assert ours.bill < without.bill
    assert ours.bill < naively(conversation(8), 0.5).bill
    whole = counter(MODEL, None)
    for before, after in pairwise(upstream.seen):
        sent, then = before.json["messages"], after.json["messages"]
        assert then[: len(sent)] == sent, "what was sent is a prefix of what is sent next"
        assert whole(before.body.decode()) < whole(after.body.decode())
