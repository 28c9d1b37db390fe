"""Each receipt is counted once, under few names, and costs next to nothing."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from receipt_world import receipt

from unabridged.proxy.metrics import MOST_NAMES, OTHER, Metrics, Names

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana-dashboard.json"
CUT = {
    "route": "rag", "policy": "auto", "team": "research", "model": "gpt-4o", "status": 200,
    "tokens_before": {"document": 900, "question": 100}, "tokens_after": {"document": 250},
    "nano_usd": 3_000_000, "saved_nano_usd": 1_500_000, "cost_basis": "measured",
    "cache": "hit", "cache_depth": "plan", "recovered": 2, "added_ms": 7.0,
    "milliseconds": {"split": 2.0, "compress": 4.0},
}  # fmt: skip
LEVEL: Any = {
    "budget": "b", "org": "o", "subject": "alice", "window": "day", "unit": "money",
    "limit": 2 * 10**9, "spent": 10**9, "reserved": 0, "projected": None, "step": None,
    "steps": [], "starts_ms": 0, "ends_ms": 1,
}  # fmt: skip


def samples(metrics: Metrics, *levels: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = metrics.text(levels).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    found = samples(metrics)
    return sum(
        number
        for (own, its), number in found.items()
        if own == name and labels.items() <= dict(its).items()
    )


def test_a_receipt_is_counted_in_tokens_dollars_and_seconds() -> None:
    metrics = Metrics()
    metrics.take([(receipt(1, **CUT), None), (receipt(2, **CUT), None)])
    assert value(metrics, "unabridged_requests_total", outcome="shortened", team="research") == 2
    assert value(metrics, "unabridged_prompt_tokens_total", model="gpt-4o") == 2000
    assert value(metrics, "unabridged_sent_tokens_total") == 500
    assert value(metrics, "unabridged_cost_dollars_total") == pytest.approx(0.006)
    assert value(metrics, "unabridged_saved_dollars") == pytest.approx(0.003)
    assert value(metrics, "unabridged_context_cache_total", use="hit", depth="plan") == 2
    assert value(metrics, "unabridged_recovered_spans_total") == 4
    assert value(metrics, "unabridged_step_seconds_sum", step="compress") == pytest.approx(0.008)
    assert value(metrics, "unabridged_kept_ratio_bucket", le="0.25") == 2
    assert value(metrics, "unabridged_kept_ratio_bucket", le="0.2") == 0


def test_a_failure_of_ours_is_counted_by_reason() -> None:
    metrics = Metrics()
    late = {"failed_step": "compress", "reason": "compress missed the deadline of 9 ms"}
    metrics.take([(receipt(1, status=200, **late), None)])
    assert value(metrics, "unabridged_failed_open_total", reason="compress deadline") == 1


def test_callers_cannot_make_names_up() -> None:
    metrics = Metrics()
    metrics.take([(receipt(n, model=f"junk-{n}", status=404), None) for n in range(500)])
    assert {dict(labels).get("model") for _, labels in samples(metrics)} <= {None, ""}
    metrics.take([(receipt(n, model=f"m-{n}", status=200), None) for n in range(500)])
    found = {dict(labels).get("model", "") for _, labels in samples(metrics)}
    assert len(found) <= MOST_NAMES + 2
    assert OTHER in found


def test_names_that_were_seen_first_keep_their_own() -> None:
    names = Names(most=2)
    assert [names(name) for name in ("a", "b", "c", "a")] == ["a", "b", OTHER, "a"]


def test_budgets_are_as_full_as_they_are_now() -> None:
    metrics = Metrics()
    labels = (("budget", "b"), ("subject", "alice"), ("unit", "dollars"))
    assert samples(metrics, LEVEL)["unabridged_budget_spent", labels] == 1.0
    assert samples(metrics, {**LEVEL, "spent": 5 * 10**8})["unabridged_budget_spent", labels] == 0.5
    assert ("unabridged_budget_spent", labels) not in samples(metrics)


def test_every_name_begins_with_ours() -> None:
    metrics = Metrics()
    metrics.take([(receipt(1, **CUT), None)])
    assert {name.split("_")[0] for name, _ in samples(metrics, LEVEL)} == {"unabridged"}


def test_the_dashboard_asks_for_nothing_that_is_not_exposed() -> None:
    metrics = Metrics()
    metrics.take([(receipt(1, **CUT), None)])
    late = {"failed_step": "compress", "reason": "x", "cost_basis": "unpriced"}
    metrics.take([(receipt(2, **late), None)])
    exposed = samples(metrics, {**LEVEL, "projected": 3})
    board = json.loads(DASHBOARD.read_text())
    asked = [t["expr"] for panel in board["panels"] for t in panel.get("targets", [])]
    names = {name for expr in asked for name in re.findall(r"\bunabridged_\w+", expr)}
    assert names <= {name for name, _ in exposed}
    labels = {label for _, its in exposed for label, _ in its}
    used = {
        label.strip()
        for expr in asked
        for group in re.findall(r"by \(([^)]*)\)|\{\{(\w+)\}\}", expr)
        for part in group
        for label in part.split(",")
        if label.strip()
    }
    assert used <= labels | {"le"}
    assert len(names) >= 15


@pytest.mark.slow
def test_counting_a_receipt_costs_less_than_a_fifth_of_a_millisecond() -> None:
    metrics = Metrics()
    batch = [(receipt(n, **CUT), None) for n in range(2000)]
    metrics.take(batch)
    start = time.process_time()
    metrics.take(batch)
    assert (time.process_time() - start) / len(batch) < 0.0002
