"""Keys, budgets and spending over HTTP: for the admin key, and for nobody else."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from conftest import Proxy
from fake_upstream import FakeUpstream

KEY = "admin-" + "k" * 40
ROOT = "/unabridged/v1"
PRICES = {"m": {"input": 1000, "output": 1000}}
MONEY = {"prices": PRICES, "assumed_output": 100}


@pytest.fixture
def proxy(serve: Any) -> Proxy:
    return serve(environment={"UNABRIDGED_ADMIN_KEY": KEY}, money=MONEY)  # type: ignore[no-any-return]


def call(proxy: Proxy, method: str, path: str, body: Any = None, key: str = KEY) -> httpx.Response:
    return httpx.request(
        method,
        f"{proxy.root}{ROOT}{path}",
        json=body,
        headers={"authorization": f"Bearer {key}"},
        timeout=30,
    )


def ask(proxy: Proxy, key: str | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    return httpx.post(f"{proxy.url}/chat/completions", json=body, headers=headers, timeout=30)


def test_without_an_admin_key_there_is_no_admin_api(serve: Any) -> None:
    assert call(serve(), "GET", "/keys").status_code == 404


@pytest.mark.parametrize("key", ["x", "wrong", KEY + "x", KEY[:-1], "클"])
def test_nobody_else_gets_in(proxy: Proxy, key: str) -> None:
    for method, path in (("GET", "/keys"), ("POST", "/keys"), ("PUT", "/budgets/b")):
        got = httpx.request(
            method,
            f"{proxy.root}{ROOT}{path}",
            json={},
            headers={"authorization": b"Bearer " + key.encode()},
        )
        assert got.status_code == 401


def test_a_key_is_made_used_rotated_and_revoked(proxy: Proxy, upstream: FakeUpstream) -> None:
    made = call(proxy, "POST", "/keys", {"name": "ci", "org": "acme", "team": "research"}).json()
    assert ask(proxy).status_code == 401
    assert ask(proxy, made["secret"]).status_code == 200
    rotated = call(proxy, "POST", "/keys/ci/rotate", {}).json()
    assert ask(proxy, made["secret"]).status_code == 401
    assert ask(proxy, rotated["secret"]).status_code == 200
    listed = call(proxy, "GET", "/keys?org=acme").json()["keys"]
    assert {key["id"] for key in listed} == {made["key"]["id"], rotated["key"]["id"]}
    assert made["secret"] not in str(listed)
    assert call(proxy, "DELETE", "/keys/ci").json() == {"revoked": rotated["key"]["id"]}
    assert ask(proxy, rotated["secret"]).status_code == 401
    assert ask(proxy, KEY).status_code == 401


def test_a_budget_counts_from_the_next_request_on(proxy: Proxy, upstream: FakeUpstream) -> None:
    assert ask(proxy).status_code == 200
    budget = {"limit": "0.000001", "window": "day"}
    assert call(proxy, "PUT", "/budgets/tiny", budget).json()["version"] == 1
    assert ask(proxy).status_code == 402
    level = call(proxy, "GET", "/levels").json()["levels"][0]
    assert (level["budget"], level["limit"], level["unit"]) == ("tiny", 1000, "money")
    assert call(proxy, "DELETE", "/budgets/tiny").status_code == 200
    assert ask(proxy).status_code == 200
    assert call(proxy, "DELETE", "/budgets/tiny").status_code == 404
    assert call(proxy, "GET", "/budgets").json() == {"version": 2, "budgets": []}


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", "/keys", {}, "key 'name' is missing"),
        ("POST", "/keys", {"name": "a", "tem": "x"}, "did you mean 'team'?"),
        ("POST", "/keys", {"name": "a", "policy": "nix"}, "unknown policy 'nix'"),
        ("POST", "/keys", {"name": "a", "expires_seconds": 0}, "must be a whole number > 0"),
        ("POST", "/keys", {"name": "a", "expires_seconds": 10**25}, "within 100 years"),
        ("POST", "/keys", [], "must be a JSON object"),
        ("POST", "/keys", {"name": "a" * 70_000}, "exceeds"),
        ("DELETE", "/keys/none", None, "no valid key"),
        ("PUT", "/budgets/b", {"limit": -1}, "limit: must be >= 0"),
        ("PUT", "/budgets/b", {"limit": 1, "at": {"80%": {"policy": "nix"}}}, "unknown policy"),
        ("PUT", "/budgets/b", {"limit": 1, "at": {"80%": {"compressor": "nix"}}}, "unknown compr"),
        ("GET", "/spend?window=year", None, "unknown window 'year'"),
        ("GET", "/spend?by=teem", None, "unknown group 'teem'"),
        ("GET", "/levels?tem=x", None, "unknown scope 'tem'"),
    ],
)
def test_a_mistake_is_named(proxy: Proxy, method: str, path: str, body: Any, said: str) -> None:
    got = call(proxy, method, path, body)
    assert got.status_code == 400
    assert said in got.json()["error"]["message"]


def test_what_was_spent_is_told(proxy: Proxy, upstream: FakeUpstream) -> None:
    ask(proxy)
    rows: list[dict[str, Any]] = []
    for _ in range(300):
        rows = call(proxy, "GET", "/spend?by=model&window=total").json()["rows"]
        if rows:
            break
        time.sleep(0.02)
    assert [(row["group"], row["requests"], row["nano_usd"]) for row in rows] == [
        ("m", 1, 2_000_000)
    ]
