"""The cache of compressed contexts: what a compressor kept is remembered and computed once."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from unabridged import __version__
from unabridged.compression.job import Cut, Job
from unabridged.policies.policy import Policy
from unabridged.proxy.cache import Cache, StoreDown
from unabridged.proxy.receipt import CacheUse

Run = Callable[[str, Job], Cut]
"""Computes a job with the compressor of a name."""

KEY_PREFIX = "unabridged:context:"
LEASE_SECONDS = 2.0
"""How long another replica may compute before this one does it too."""
PATIENCE_SECONDS = 0.25
"""How long this replica waits for another that computes the same."""
_POLL_SECONDS = 0.02
_TAG_BYTES = 16


@dataclass(slots=True, kw_only=True)
class Lookups:
    """How the cache served one request."""

    hits: int = 0
    misses: int = 0
    store_down: bool = False
    seconds: float = 0.0
    """Spent waiting for the store."""

    @property
    def use(self) -> CacheUse:
        if self.store_down:
            return "store-down"
        if self.hits and self.misses:
            return "part"
        return "hit" if self.hits else "miss" if self.misses else "off"

    @contextmanager
    def timed(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose context it is and under which rules it was made: part of every key."""

    tenant: str
    policy_version: str
    tokenizer: str
    scorer: Callable[[str], str]
    """Names the weights that a compressor's outcome depends on; empty: on none."""
    seconds: int
    """Lifetime of what is remembered."""


def policy_version(policy: Policy) -> str:
    """Changes whenever the policy or the program does."""
    text = f"{__version__}\n{policy.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contexts:
    """Remembers kept spans, never text, under keys that tell nothing."""

    cache: Cache
    secret: bytes
    """At least 32 bytes; replicas that share a store share it."""
    _flights: dict[str, Future[Cut]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def remembering(self, run: Run, scope: Scope, lookups: Lookups) -> Run:
        """`run`, but looking first, and computing what many ask for at once only once."""
        if scope.seconds == 0:
            return run

        def remembered(compressor: str, job: Job) -> Cut:
            key = self.key(compressor, job, scope)
            return self._through(key, job, scope, lookups, lambda: run(compressor, job))

        return remembered

    def key(self, compressor: str, job: Job, scope: Scope) -> str:
        """HMAC-SHA256 over everything that the cut depends on, each part with its length."""
        mac = hmac.new(self.secret, digestmod=hashlib.sha256)
        texts: dict[Any, int] = {}
        parts = [
            "context 1", scope.tenant, scope.policy_version, compressor,
            scope.scorer(compressor), scope.tokenizer, job.question, str(job.tokens),
        ]  # fmt: skip
        for s in job.segments:
            # Which segments stand in one string matters; where in the body it stands does not.
            place = texts.setdefault(s.where.path, len(texts))
            parts += (s.kind, f"{s.head} {s.tail} {s.protected} {place}", s.text)
        for part in parts:
            data = part.encode("utf-8", "surrogatepass")
            mac.update(len(data).to_bytes(8, "big"))
            mac.update(data)
        return KEY_PREFIX + mac.hexdigest()

    def _through(
        self, key: str, job: Job, scope: Scope, lookups: Lookups, compute: Callable[[], Cut]
    ) -> Cut:
        with self._lock:
            flight = self._flights.get(key)
            mine = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if not mine:
            cut = _landed(flight, job)
            if cut is not None:
                lookups.hits += 1
                return cut
            lookups.misses += 1
            return compute()
        try:
            cut = self._looked_up(key, job, lookups)
            if cut is None:
                lookups.misses += 1
                cut = compute()
                self._remember(key, cut, scope, lookups)
            else:
                lookups.hits += 1
            flight.set_result(cut)
            return cut
        except BaseException:
            flight.cancel()
            raise
        finally:
            with self._lock:
                del self._flights[key]

    def _looked_up(self, key: str, job: Job, lookups: Lookups) -> Cut | None:
        """From the store, waiting a moment if another replica is just computing it."""
        end = time.monotonic() + PATIENCE_SECONDS
        try:
            with lookups.timed():
                while True:
                    value = self.cache.get([key])[0]
                    if value is not None:
                        # A corrupt or foreign value is as good as none.
                        return self._decode(key, value, job)
                    if self.cache.claim(key + ":lease", seconds=LEASE_SECONDS):
                        return None
                    if time.monotonic() > end:
                        return None
                    time.sleep(_POLL_SECONDS)
                    job.checkpoint()
        except StoreDown:
            lookups.store_down = True
            return None

    def _remember(self, key: str, cut: Cut, scope: Scope, lookups: Lookups) -> None:
        try:
            with lookups.timed():
                self.cache.put({key: self._encode(key, cut)}, seconds=scope.seconds)
        except StoreDown:
            lookups.store_down = True

    def _encode(self, key: str, cut: Cut) -> bytes:
        said = json.dumps(
            {"kept": cut.kept, "why": cut.why, "order": cut.order}, separators=(",", ":")
        ).encode()
        return self._tag(key, said) + said

    def _decode(self, key: str, value: bytes, job: Job) -> Cut | None:
        tag, said = value[:_TAG_BYTES], value[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(key, said)):
            return None
        data = json.loads(said)  # ours, as the tag says
        kept = tuple(tuple((a, b) for a, b in spans) for spans in data["kept"])
        if len(kept) != len(job.segments):
            return None
        return Cut(kept=kept, why=tuple(data["why"]), order=tuple(data.get("order", ())))

    def _tag(self, key: str, said: bytes) -> bytes:
        return hmac.digest(self.secret, key.encode() + said, hashlib.sha256)[:_TAG_BYTES]


def _landed(flight: Future[Cut], job: Job) -> Cut | None:
    """What another thread is computing; None if it failed."""
    while True:
        try:
            return flight.result(timeout=_POLL_SECONDS)
        except NotYet:
            job.checkpoint()
        except BaseException:  # cancelled there says nothing about here
            return None
