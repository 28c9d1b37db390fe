"""The demo's proxy is one that a newcomer can look into."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from fake_upstream import FakeUpstream

from unabridged.proxy.demo_servers import BUDGET, MODEL_NAME, PRICE, serve_proxy
from unabridged.proxy.serve import the_steps


def test_the_demos_proxy_keeps_text_counts_money_and_refuses_nothing(tmp_path: Path) -> None:
    with (
        FakeUpstream() as upstream,
        serve_proxy(upstream.url, tmp_path / "model", tmp_path / "state", the_steps()) as served,
    ):
        url, app = served
        assert all(policy.keep_text_seconds for policy in app.config.policies.values())
        assert app.config.money.prices[MODEL_NAME] == PRICE
        assert BUDGET in app.config.budgets and BUDGET.refuses_above is None
        with urllib.request.urlopen(url.removesuffix("/v1") + "/readyz") as said:
            assert said.status == 200


def test_nothing_answers_any_more_when_it_ends(tmp_path: Path) -> None:
    with (
        FakeUpstream() as upstream,
        serve_proxy(upstream.url, tmp_path / "model", tmp_path / "state", the_steps()) as served,
    ):
        url, _ = served
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url)
