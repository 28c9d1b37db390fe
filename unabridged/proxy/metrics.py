"""What happens, counted for Prometheus: requests, tokens, money, milliseconds and failures.

Each receipt is counted once, in the thread that writes receipts, so the request path pays
nothing. Every process has its own registry, and one process serves one port: each replica is
scraped by itself, and sums over replicas are Prometheus' work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from unabridged import __version__
from unabridged.policies.budget import NANO
from unabridged.proxy.outcome import failure, outcome
from unabridged.proxy.page_answers import BudgetLevel
from unabridged.proxy.receipt import Batch, Receipt

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_NAMES = 50
"""Values that one label may have; what comes later is counted as `other`."""
OTHER = "other"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
RATIOS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
TOKENS = (100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
WHO = ("route", "policy", "team", "model")


@dataclass(slots=True)
class Names:
    """Keeps a label's values few: the first ones seen have their own name."""

    most: int = MOST_NAMES
    known: set[str] = field(default_factory=set)

    def __call__(self, name: str) -> str:
        if name not in self.known:
            if len(self.known) >= self.most:
                return OTHER
            self.known.add(name)
        return name


class Metrics:
    """Put together at start-up. All names begin with `unabridged_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._names = {label: Names() for label in (*WHO, "upstream", "budget", "subject")}
        # Routes, policies, upstreams and teams are the operator's; a model is whatever a caller
        # writes, so only those that an upstream answered for get a name.
        self._requests = self._counter("requests", "Requests by how they ended", *WHO, "outcome")
        self._failed = self._counter(
            "failed_open", "Requests that went on as they came because we failed", "reason"
        )
        self._before = self._counter("prompt_tokens", "Tokens of prompts as they came", *WHO)
        self._sent = self._counter("sent_tokens", "Tokens of prompts as they were sent", *WHO)
        self._saved = self._gauge(
            "saved_dollars", "Dollars saved, net of lost provider discounts; may fall", *WHO
        )
        self._cost = self._counter("cost_dollars", "Dollars that requests have cost", *WHO)
        self._unpriced = self._counter("unpriced", "Requests whose cost is not known", "model")
        self._cache = self._counter(
            *("context_cache", "How the cache of compressed contexts served a request"),
            *("use", "depth"),
        )
        self._recovered = self._counter(
            "recovered_spans", "Spans of answers that got their original wording back", "policy"
        )
        self._step = self._histogram(
            "step_seconds", "Time that a step of ours added to a request", SECONDS, "step"
        )
        self._added = self._histogram(
            "added_seconds", "Time that all of us added to a request", SECONDS, "policy"
        )
        self._kept = self._histogram(
            "kept_ratio", "Share of a prompt's tokens that was sent", RATIOS, "policy"
        )
        self._length = self._histogram(
            "prompt_length_tokens", "Tokens of a prompt as it came", TOKENS, "policy"
        )
        self._budget = {
            name: self._gauge(f"budget_{name}", said, "budget", "subject", "unit")
            for name, said in {
                "limit": "What a budget allows in its window (dollars, tokens or requests)",
                "spent": "What has been charged to it",
                "reserved": "What requests under way may still cost",
                "projected": "What will be spent at the window's end if it goes on like this",
            }.items()
        }
        self._store_down = self._gauge("store_down", "1 while the store does not answer")
        self._gauge("build_info", "1, with the version", "version").labels(__version__).set(1)

    def take(self, batch: Batch) -> None:
        """Counts receipts."""
        for receipt, _ in batch:
            self._count(receipt)

    def text(self, budgets: Sequence[BudgetLevel] = (), *, store_down: bool = False) -> bytes:
        """Everything in the Prometheus text format, with budgets as they are now."""
        self._store_down.set(1 if store_down else 0)
        for gauge in self._budget.values():
            gauge.clear()
        for level in budgets:
            self._show(level)
        return generate_latest(self.registry)

    def _count(self, receipt: Receipt) -> None:
        answered = receipt.status is not None and receipt.status < 400
        model = receipt.model if answered else ""
        who = [
            self._names[label](value)
            for label, value in zip(
                WHO, (receipt.route, receipt.policy, receipt.team, model), strict=True
            )
        ]
        policy = who[1]
        self._requests.labels(*who, outcome(receipt)).inc()
        if failed := failure(receipt):
            self._failed.labels(failed).inc()
        if receipt.tokens_before:
            self._before.labels(*who).inc(receipt.before)
            self._sent.labels(*who).inc(receipt.got)
            self._length.labels(policy).observe(receipt.before)
            self._kept.labels(policy).observe(receipt.got / max(receipt.before, 1))
        if receipt.nano_usd is not None:
            self._cost.labels(*who).inc(receipt.nano_usd / NANO)
        if receipt.saved_nano_usd is not None:
            self._saved.labels(*who).inc(receipt.saved_nano_usd / NANO)
        if receipt.cost_basis == "unpriced":
            self._unpriced.labels(who[3]).inc()
        if receipt.cache != "off":
            self._cache.labels(receipt.cache, receipt.cache_depth or "none").inc()
        if receipt.recovered:
            self._recovered.labels(policy).inc(receipt.recovered)
        for step, milliseconds in receipt.milliseconds.items():
            self._step.labels(step).observe(milliseconds / 1000)
        self._added.labels(policy).observe(receipt.added_ms / 1000)

    def _show(self, level: BudgetLevel) -> None:
        budget = self._names["budget"](level["budget"])
        subject = self._names["subject"](level["subject"] or "")
        unit = "dollars" if level["unit"] == "money" else level["unit"]
        scale = NANO if level["unit"] == "money" else 1
        amounts = {
            "limit": level["limit"],
            "spent": level["spent"],
            "reserved": level["reserved"],
            "projected": level["projected"],
        }
        for name, amount in amounts.items():
            if amount is not None:
                self._budget[name].labels(budget, subject, unit).inc(amount / scale)

    def _counter(self, name: str, said: str, *labels: str) -> Counter:
        return Counter(f"unabridged_{name}", said, labels, registry=self.registry)

    def _gauge(self, name: str, said: str, *labels: str) -> Gauge:
        return Gauge(f"unabridged_{name}", said, labels, registry=self.registry)

    def _histogram(self, name: str, said: str, buckets: Iterable[float], *labels: str) -> Histogram:
        return Histogram(
            f"unabridged_{name}", said, labels, registry=self.registry, buckets=tuple(buckets)
        )
