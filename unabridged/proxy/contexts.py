"""The cache of compressed contexts: what a compressor kept is remembered and computed once."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from unabridged import __version__
from unabridged.compression.job import Cut, Job
from unabridged.compression.once import Store, once
from unabridged.policies.policy import Policy
from unabridged.proxy.cache import StoreDown
from unabridged.proxy.receipt import CacheDepth, CacheUse
from unabridged.proxy.shelf import Told

Run = Callable[[str, Job], Cut]
"""Computes a job with the compressor of a name."""

WITHOUT_EFFECT = {"deadline_ms", "cache_seconds", "cache_share", "expected_turns", "allow"}
"""What a policy says that changes no cut."""


class Values(Store, Protocol):
    """What one owner has in the store; see shelf.Shelf. All methods raise StoreDown."""

    def get(self, keys: Sequence[str]) -> list[bytes | None]: ...

    def count(self, route: str, use: str) -> None: ...


@dataclass(slots=True, kw_only=True)
class Lookups:
    """How the cache served one request."""

    hits: dict[CacheDepth, int] = field(default_factory=dict)
    misses: dict[CacheDepth, int] = field(default_factory=dict)
    store_down: bool = False
    seconds: float = 0.0
    """Spent waiting for the store."""

    @property
    def depth(self) -> CacheDepth:
        """The most of the work that was remembered."""
        depths: tuple[CacheDepth, ...] = ("plan", "segment", "scores")
        return next((depth for depth in depths if self.hits.get(depth)), "")

    @property
    def use(self) -> CacheUse:
        if self.store_down:
            return "store-down"
        if not self.hits and not self.misses:
            return "off"
        if self.hits.get("plan") or (self.hits.get("segment") and not self.misses.get("segment")):
            return "hit"
        return "part" if self.depth else "miss"

    @contextmanager
    def timed(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """A Store in front of another one, for one request: counts at which depth it helps, and does
    without it while it is down."""

    values: Values
    lookups: Lookups
    depth: CacheDepth

    def take(self, keys: Sequence[str]) -> list[Told]:
        told: list[Told] = ["mine"] * len(keys)
        with self._forgiving():
            told = self.values.take(keys)
        hits, misses = sum(isinstance(t, bytes) for t in told), told.count("mine")
        for counted, number in ((self.lookups.hits, hits), (self.lookups.misses, misses)):
            if number:
                counted[self.depth] = counted.get(self.depth, 0) + number
        return told

    def put(self, values: Mapping[str, bytes], *, seconds: int) -> None:
        with self._forgiving():
            self.values.put(values, seconds=seconds)

    def give_up(self, keys: Sequence[str]) -> None:
        with self._forgiving():
            self.values.give_up(keys)

    def pause(self) -> None:
        self.values.pause()

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        try:
            with self.lookups.timed():
                yield
        except StoreDown:
            self.lookups.store_down = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Under which rules a context is made: part of every key."""

    policy_version: str
    tokenizer: str
    scorer: Callable[[str], str]
    """Names the weights that a compressor's outcome depends on; empty: on none."""
    seconds: int
    """Lifetime of what is remembered; 0: nothing is."""


def policy_version(policy: Policy) -> str:
    """Changes whenever the program does, or what a policy says about cutting."""
    text = f"{__version__}\n{policy.model_dump_json(exclude=WITHOUT_EFFECT)}"
    return hashlib.sha256(text.encode()).hexdigest()


def remembering(run: Run, scope: Scope, store: Store) -> Run:
    """`run`, but looking first, and computing what many ask for at once only once."""
    if scope.seconds == 0:
        return run

    def remembered(compressor: str, job: Job) -> Cut:
        [cut] = once(
            store,
            [job_key(compressor, job, scope)],
            lambda _: [_encode(run(compressor, job))],
            lambda _, value: _decode(value, job),
            seconds=scope.seconds,
            checkpoint=job.checkpoint,
        )
        return cut

    return remembered


def job_key(compressor: str, job: Job, scope: Scope) -> str:
    """A digest of everything that the cut depends on. Shelves make their names of it."""
    texts: dict[Any, int] = {}
    parts = [
        compressor, scope.policy_version, scope.scorer(compressor), scope.tokenizer,
        job.question, str(job.tokens),
    ]  # fmt: skip
    for s in job.segments:
        # Which segments stand in one string matters; where in the body it stands does not.
        place = texts.setdefault(s.where.path, len(texts))
        flags = f"{s.head} {s.tail} {s.protected} {s.chained} {s.escaped} {s.rate} {place}"
        parts += (s.kind, flags, s.text)
    return f"segment:{digest(parts)}"


def digest(parts: Sequence[str]) -> str:
    """Of each part with its length, so that no two lists of parts share one."""
    hashed = hashlib.blake2b(digest_size=24)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return hashed.hexdigest()


def _encode(cut: Cut) -> bytes:
    said = {"kept": cut.kept, "why": cut.why, "order": cut.order}
    return json.dumps(said, separators=(",", ":")).encode()


def _decode(value: bytes, job: Job) -> Cut | None:
    """None if it is no cut of this job."""
    try:
        data = json.loads(value)
        kept = tuple(tuple((int(a), int(b)) for a, b in spans) for spans in data["kept"])
        cut = Cut(kept=kept, why=tuple(data["why"]), order=tuple(data["order"]))
    except (ValueError, TypeError, KeyError):
        return None
    return cut if len(cut.kept) == len(cut.why) == len(job.segments) else None
