"""/metrics is read by whoever may, and holds what happened."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from conftest import Proxy
from fake_upstream import FakeUpstream
from page_client import FAKE, GUARDED, KEY, PATIENT, chat, soon

READER = "reader-" + "r" * 40


def ask(proxy: Proxy, key: str | None = None, **headers: str) -> httpx.Response:
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    return httpx.get(f"{proxy.root}/metrics", headers=headers, timeout=30)


def test_what_happened_can_be_scraped(serve: Callable[..., Proxy], upstream: FakeUpstream) -> None:
    proxy = serve(
        budgets=[{"name": "all", "unit": "requests", "window": "day", "limit": 9}],
        policies={"fake": FAKE},
        **PATIENT,
    )
    assert chat(proxy).status_code == 200
    text = soon(lambda: t if 'outcome="' in (t := ask(proxy).text) else "")
    assert 'unabridged_budget_limit{budget="all",subject="",unit="requests"} 9.0' in text
    assert 'unabridged_step_seconds_count{step="compress"} 1.0' in text
    assert ask(proxy).headers["content-type"].startswith("text/plain; version=0.0.4")


def test_without_keys_only_this_machine_may_read(serve: Callable[..., Proxy]) -> None:
    proxy = serve()
    assert ask(proxy).status_code == 200
    for host in ("evil.example", 'a"b.evil.example', "a{b.evil.example", "["):
        assert ask(proxy, host=host).status_code == 403


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("x", 401), (KEY, 200), (READER, 200)])
def test_with_keys_the_metrics_key_or_the_admin_key_is_wanted(
    serve: Callable[..., Proxy], key: str | None, status: int
) -> None:
    proxy = serve(environment={**GUARDED, "UNABRIDGED_METRICS_KEY": READER})
    assert ask(proxy, key).status_code == status


def test_the_metrics_key_opens_nothing_else(serve: Callable[..., Proxy]) -> None:
    proxy = serve(environment={**GUARDED, "UNABRIDGED_METRICS_KEY": READER})
    for path in ("/ui/api/overview", "/unabridged/v1/keys"):
        got = httpx.get(proxy.root + path, headers={"authorization": f"Bearer {READER}"})
        assert got.status_code == 401
