"""What was done to one request: told to the client in headers and to the operator in the log."""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Literal, TextIO

from unabridged.proxy.headers import Headers
from unabridged.proxy.log import logger

CacheUse = Literal["off", "hit", "part", "miss", "store-down"]
CacheDepth = Literal["", "scores", "segment", "plan"]
GateChoice = Literal["", "rewrite", "keep", "explicit"]
KEPT_IN_MEMORY = 200
GATHER_SECONDS = 0.1
"""Pause between two batches, so that not every receipt is a write of its own."""
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One request. Holds no text of the prompt or of the answer, and no credential."""

    request_id: str
    at: float
    """Seconds since 1970 when the request was complete."""
    path: str
    model: str = ""
    stream: bool = False
    key: str = ""
    """Name of the caller's key."""
    team: str = ""
    route: str = ""
    policy: str = ""
    upstream: str = ""
    compressor: str = ""
    tokens_before: Mapping[str, int] = field(default_factory=dict)
    """By kind of segment, in the upstream model's tokens; empty if nothing was counted."""
    tokens_after: Mapping[str, int] = field(default_factory=dict)
    asked: int | None = None
    """Tokens the plan granted altogether; None: there was no plan."""
    cache: CacheUse = "off"
    cache_depth: CacheDepth = ""
    """How deep in the work something was remembered: the whole plan, segments, or the scores of
    documents; empty: nothing was."""
    gate: GateChoice = ""
    """What was done with text that the provider has likely cached: rewritten, because that pays;
    kept as it was sent last time, or as it came; left alone because the client marked it to be
    cached. Empty: there was nothing to decide."""
    gate_tokens: int = 0
    """Tokens that were not cut for the sake of the provider's cache."""
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    """Spent by us, by step: read, abridge (queueing and split, plan, compress, store and render
    in it) and restore."""
    added_ms: float = 0.0
    """Our whole share of the time."""
    recovered: int | None = None
    """Spans of the answer that got their original wording back; None: not looked for."""
    untouched: tuple[str, ...] = ()
    """What of the answer was left as it came as a whole, and why: log probabilities were asked
    for, or it is not JSON."""
    edits: tuple[Mapping[str, Any], ...] = ()
    """If the policy has `audit`: of each restored span its place in the answer, the place of its
    words in the request, and why, in offsets without the words."""
    reason: str = ""
    """Why nothing was cut, or what failed; empty if all went as planned."""
    failed_step: str = ""
    """The step that failed, so that the request or answer went on as it came."""
    budget_step: str = ""
    """Steps of budgets in force, such as `research 80%`."""
    nano_usd: int | None = None
    """What it cost; None: not known, or not known yet."""
    cost_basis: str = ""
    """How the cost is known: measured, estimated, partial or unpriced."""
    gross_nano_usd: int | None = None
    """What the tokens that were cut would have cost as plain input."""
    saved_nano_usd: int | None = None
    """What was saved net of the provider's discount for cached text; negative if cutting cost
    more than it saved, None: not known."""
    input_tokens: int | None = None
    """Of the prompt, as the upstream counted; None: not told."""
    output_tokens: int | None = None
    """Of the answer, as the upstream counted."""
    provider_cached: int | None = None
    """Tokens of the prompt that the provider read from its own cache."""
    status: int | None = None
    """The upstream's; None if it did not answer."""
    upstream_request_id: str = ""
    ended: Literal["complete", "client gone", "broken off", "refused"] = "complete"

    @property
    def got(self) -> int:
        """Tokens that were sent."""
        return sum(self.tokens_after.values())

    @property
    def before(self) -> int:
        return sum(self.tokens_before.values())


_FIELDS = tuple(field.name for field in fields(Receipt))


@dataclass(slots=True, kw_only=True)
class Draft:
    """A receipt while its request is under way."""

    said: dict[str, Any]
    spent: dict[str, float] = field(default_factory=dict)
    """Milliseconds of our own, one after the other."""
    began: dict[str, int] = field(default_factory=dict)
    """When each of them began, in nanoseconds since 1970."""
    trace: Any = None
    """The request's spans, a `tracing.Traced`; None: nobody asked for traces."""
    detail: Any = None
    """What is told beside the receipt, a `detail.Detail`; it may hold text, so it is no field of
    the receipt."""

    def note(self, **fields: Any) -> None:
        self.said.update(fields)

    def edited(self, edits: Any) -> None:
        """What was restored in the answer."""
        if self.detail is not None:
            self.detail.edits = edits

    def spend(self, step: str, seconds: float) -> None:
        self.spent[step] = self.spent.get(step, 0.0) + seconds * 1000

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        self.began.setdefault(step, time.time_ns())
        start = time.perf_counter()
        try:
            yield
        finally:
            self.spend(step, time.perf_counter() - start)

    def receipt(self, *, at: float) -> Receipt:
        """What is known by now; `at` is the time in seconds since 1970."""
        told = {name: value for name, value in self.said.items() if name != "steps"}
        # The steps of the abridging lie inside its time, which also counts the queueing.
        steps = {**self.spent, **self.said.get("steps", {})}
        return Receipt(
            **told,
            at=round(at, 3),
            milliseconds={step: round(ms, 2) for step, ms in steps.items()},
            added_ms=round(sum(self.spent.values()), 2),
        )


def receipt_headers(receipt: Receipt) -> Headers:
    """`x-unabridged-*` response headers: what is known when the answer's head goes out."""
    told: dict[str, str] = {
        "policy": receipt.policy,
        "cache": receipt.cache,
        "ms": f"{receipt.added_ms:.1f}",
    }
    if receipt.cache_depth:
        told["cache-depth"] = receipt.cache_depth
    if receipt.gate:
        told["gate"] = receipt.gate
    if receipt.tokens_before:
        told["tokens-before"] = str(receipt.before)
        told["tokens-after"] = str(receipt.got)
    if receipt.recovered is not None and not receipt.stream:
        told["recovered"] = str(receipt.recovered)
    if receipt.budget_step:
        told["budget-step"] = receipt.budget_step
    if receipt.reason:
        told["reason"] = receipt.reason
    return [(f"x-unabridged-{name}".encode(), _printable(value)) for name, value in told.items()]


def _printable(value: str) -> bytes:
    return _UNPRINTABLE.sub("?", value)[:_LONGEST_REASON].strip().encode()


def as_record(receipt: Receipt) -> dict[str, Any]:
    """A receipt as plain data, as it stands in the log line and in the store."""
    record = {name: getattr(receipt, name) for name in _FIELDS}
    record["before"], record["got"] = receipt.before, receipt.got
    return {name: value for name, value in record.items() if value not in ("", None, {}, ())}


Batch = list[tuple[Receipt, Any]]
"""Receipts, each with its detail (None: there is none)."""


class Receipts:
    """Takes receipts from the event loop without ever making it wait, writes each as a line of
    JSON, remembers the last ones, and hands them to `share` (the store) and to `takers` in
    batches."""

    def __init__(
        self,
        *,
        share: Callable[[list[str]], None] | None = None,
        output: TextIO | None = None,
        takers: Sequence[Callable[[Batch], None]] = (),
    ) -> None:
        self._recent: deque[Receipt] = deque(maxlen=KEPT_IN_MEMORY)
        self._share = share
        self._takers = takers
        self._closing = threading.Event()
        self._queue: queue.SimpleQueue[tuple[Receipt, Any] | None] = queue.SimpleQueue()
        self._logger = logger("unabridged.receipt", output)
        self._thread = threading.Thread(target=self._work, name="unabridged-receipts", daemon=True)
        self._thread.start()

    def add(self, receipt: Receipt, detail: Any = None) -> None:
        self._recent.appendleft(receipt)
        self._queue.put((receipt, detail))

    def recent(self, count: int = KEPT_IN_MEMORY) -> list[Receipt]:
        """The last receipts of this process, newest first."""
        return list(self._recent)[:count]

    def close(self) -> None:
        """Writes what is left."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join(timeout=5)

    def _work(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < 500 and not self._queue.empty():
                batch.append(self._queue.get())
            told = [pair for pair in batch if pair is not None]
            records = [as_record(receipt) for receipt, _ in told]
            for record in records:
                self._logger.info("request", extra={"fields": record})
            if told:
                self._hand(partial(self._push, records), told)
            for take in self._takers if told else ():
                self._hand(take, told)
            if None in batch:
                return
            if self._takers:
                # Each batch is written to disk as one: let some gather while others wait.
                self._closing.wait(GATHER_SECONDS)

    def _push(self, records: list[dict[str, Any]], _: Batch) -> None:
        if self._share is not None:
            self._share([json.dumps(record, ensure_ascii=False) for record in records])

    def _hand(self, take: Callable[[Batch], None], told: Batch) -> None:
        try:
            take(told)
        except Exception as error:  # what watches the requests must never end the watching
            kind = type(error).__name__
            self._logger.warning(f"{len(told)} receipts could not be taken: {kind}")
