"""Ways in which budgets of other gateways were passed by, through real proxies and a real store.

Those that are about one part alone stand beside that part, with the number of the report: the
ledger (test_redis_ledger), prices (test_price), estimates (test_estimate), usage (test_usage), what
a request is charged (test_spending, test_till).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx2 as httpx
import pytest
from conftest import Proxy, fake_steps
from fake_upstream import FakeUpstream, completion

MONEY = {"prices": {"m": {"input": 1000, "output": 1000}}, "assumed_output": 100}
"""A thousandth of a dollar for a token. An answer comes to two tokens; 100 are reserved."""
ANSWER = 2_000_000
PATIENT = {"timeout_ms": 2000}


def ask(proxy: Proxy, key: str = "") -> httpx.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": "0123456789" * 5}]}
    headers = {"authorization": f"Bearer {key}"} if key else {}
    url = f"{proxy.url}/chat/completions"
    return httpx.post(url, json=body, headers=headers, timeout=30)


def start(serve: Any, limit: str, **budget: Any) -> Proxy:
    """A proxy of one budget; two of them share store and ledger."""
    declared = {"name": "b", "window": "total", "limit": limit, **budget}
    proxy: Proxy = serve(
        money=MONEY,
        budgets=[declared],
        routes=[{"name": "r", "policy": "fake"}],
        store=PATIENT,
        steps=fake_steps(),
    )
    return proxy


@pytest.mark.parametrize("scope", ["org", "team", "user", "key", "route", "model"])
def test_a_budget_that_was_declared_but_never_asked(
    upstream: FakeUpstream, serve: Any, scope: str
) -> None:
    """LiteLLM #27381: the limiter was there and nobody had registered it."""
    proxy = start(serve, "0", each=scope)
    ring = proxy.app.callers._ring
    key, _ = ring.create(name="k", org="acme", team="red", user="ann", now_ms=1)
    ring.refresh()
    assert ask(proxy, key).status_code == 402
    assert upstream.seen == []


def test_each_replica_with_the_whole_budget_to_itself(upstream: FakeUpstream, serve: Any) -> None:
    """LiteLLM #13202, #18518, #15066, #2730; Bifrost #3547: n replicas, n times the limit."""
    both = [start(serve, "0.2"), start(serve, "0.2")]
    told = [ask(both[n % 2]).status_code for n in range(60)]
    assert told.count(200) == len(upstream.seen)
    assert 10 < told.count(200) < 50, "each comes to 2 of 200, and none is sent that may not fit"
    assert told == sorted(told), "what one has spent, the other knows at once"


def test_a_limit_that_is_only_seen_once_the_answers_have_come(
    upstream: FakeUpstream, serve: Any
) -> None:
    """Envoy #2394, LiteLLM #34732: all that are under way at once pass, as none has a cost yet."""
    upstream.reply(replace(completion("Hello."), before=(1.0,)))
    proxy = start(serve, "0.4")
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: ask(proxy).status_code, range(8)))
    assert told.count(200) == len(upstream.seen) == 2
    assert told.count(402) == 6


def test_a_counter_that_does_not_move_or_counts_requests_instead_of_what_they_cost(
    upstream: FakeUpstream, serve: Any
) -> None:
    """Envoy #1754: the budget stayed as it was. WSO2 #2932: each request was one unit."""
    proxy = start(serve, "0.2")
    passed = 0
    while (got := ask(proxy)).status_code == 200:
        passed += 1
        assert passed < 100
    metadata = got.json()["error"]["metadata"]
    assert passed > 1
    assert metadata["spent"] == passed * ANSWER
