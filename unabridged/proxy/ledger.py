"""What is reserved before a call and charged after it, over all budgets at once or not at all."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, Protocol

from unabridged.policies.budget import SCOPES, Budget, Scopes
from unabridged.proxy.window import Window, window

LARGEST = 10**15
"""Most that one request may reserve or cost: a million dollars in nano-dollars."""

Basis = Literal["measured", "estimated", "partial", "unpriced", "lost"]
"""Where a cost comes from: upstream's usage; our tokenizer; our tokenizer, of an answer that was
not read to its end; known tokens without a price; a proxy that died before it could say."""


class LedgerDown(Exception):
    """The store could not be asked in time, or its counters could not be rebuilt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """What one budget counts for one subject in one window."""

    org: str
    budget: Budget
    subject: str
    window: Window

    @property
    def id(self) -> str:
        """Name of the counter, without any text of the caller's."""
        parts = (self.org, self.budget.identity, self.subject, self.window.start_ms)
        return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one request asks of one counter."""

    counter: Counter
    amount: int
    """Nano-dollars, tokens or requests."""

    def __post_init__(self) -> None:
        if not 0 <= self.amount <= LARGEST:
            raise ValueError(
                f"budget {self.counter.budget.name!r}: amount must be 0 to {LARGEST}, "
                f"not {self.amount}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How full a counter is."""

    counter: Counter
    used: int
    """Spent and reserved together."""
    reserved: int

    @property
    def spent(self) -> int:
        """What has been charged."""
        return self.used - self.reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger: what a request cost, for whom, and how we know."""

    id: str
    at_ms: int
    """When the request was admitted; decides its windows."""
    scopes: Scopes
    policy: str = ""
    upstream: str = ""
    sent_model: str = ""
    """The model that was asked, if a step replaced the caller's."""
    step: str = ""
    """The budget step in force, such as `research 80%`."""
    estimated_nano_usd: int | None = None
    reserved_nano_usd: int | None = None
    nano_usd: int | None = None
    """What it cost; None: not known."""
    price_version: str = ""
    basis: Basis = "measured"
    tokens_before: int | None = None
    """The prompt as it came."""
    tokens_after: int | None = None
    """The prompt as it was sent."""
    input_tokens: int | None = None
    """As the upstream counts; cached ones included."""
    cached_tokens: int | None = None
    output_tokens: int | None = None
    """Reasoning included."""
    reasoning_tokens: int | None = None
    saved_nano_usd: int | None = None
    """What the uncut prompt would have cost more, the provider's discount for cached text
    included; negative if cutting cost more than it saved."""

    def record(self) -> dict[str, Any]:
        """Plain data: the scopes beside the other fields."""
        data = {name: getattr(self, name) for name in _ENTRY}
        return {**{name: getattr(self.scopes, name) for name in SCOPES}, **data}

    @staticmethod
    def row(data: Mapping[str, Any]) -> dict[str, Any]:
        """A `record` with all its fields: what an older proxy did not know has its default. Raises
        ValueError if it has others."""
        whole = {**_DEFAULTS, **data}
        if len(whole) != len(_ENTRY) + len(SCOPES):
            raise ValueError(f"an entry of another version: {', '.join(sorted(data))}")
        return whole

    @classmethod
    def of(cls, data: dict[str, Any]) -> Entry:
        """The entry of a `record`."""
        rest = dict(data)
        scopes = Scopes(**{name: rest.pop(name, None) for name in SCOPES})
        return cls(scopes=scopes, **rest)

    def amount(self, budget: Budget) -> int:
        """What a budget is charged for this entry; an unknown cost is not charged."""
        if self.basis == "lost":
            return 0
        if budget.unit == "requests":
            return 1
        if budget.unit == "tokens":
            return (self.input_tokens or 0) + (self.output_tokens or 0)
        return self.nano_usd or 0


_ENTRY = tuple(field.name for field in fields(Entry) if field.name != "scopes")
_DEFAULTS = dict.fromkeys(SCOPES) | {
    field.name: field.default for field in fields(Entry) if field.default is not MISSING
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What a request has reserved, or tries to."""

    entry: Entry
    """What is known of the request so far; goes into the ledger if the proxy dies."""
    claims: tuple[Claim, ...]
    """All of one organisation."""
    lease_ms: int = 60_000
    """After this, unless renewed, the reservation is given back by itself."""
    journaled: bool = True
    """True if the ledger gets a line when the lease runs out."""

    @property
    def id(self) -> str:
        """Same as the entry's."""
        return self.entry.id


Settled = tuple[Hold, Entry]
"""What a request had reserved, and what it came to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """All claims were granted."""

    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """At least one budget has no room, so nothing was reserved on any."""

    claims: tuple[Claim, ...]
    """Those without room."""
    levels: tuple[Level, ...]
    """Of the same counters, without this request."""


class Ledger(Protocol):
    """Each method is one atomic step. All raise LedgerDown."""

    async def reserve(self, hold: Hold) -> Reserved | Refused:
        """All claims or none. The same hold again renews its lease."""
        ...

    async def settle(self, hold: Hold, entry: Entry) -> tuple[Level, ...]:
        """Charge what it came to and free what was reserved; a second time does nothing."""
        ...

    async def settle_many(self, settled: Sequence[Settled]) -> tuple[Level, ...]:
        """The same for many of one organisation, in their order; the levels of all counters that
        they are on, each once."""
        ...

    async def release(self, hold: Hold) -> None:
        """Free what was reserved and charge nothing."""
        ...

    async def read(self, counters: Sequence[Counter]) -> tuple[Level, ...]:
        """How full counters (of one organisation) are."""
        ...


def counters(budgets: Sequence[Budget], scopes: Scopes, now_ms: int) -> tuple[Counter, ...]:
    """The counters that a request is on."""
    return tuple(
        Counter(
            org=scopes.org,
            budget=budget,
            subject=budget.subject(scopes),
            window=window(budget.window, now_ms, budget.time_zone),
        )
        for budget in budgets
        if budget.applies(scopes)
    )


def plain(text: str) -> str:
    """A name as every database takes it: at most 200 characters, no NUL, nothing unpaired."""
    return text[:200].encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def has_room(used: int, amount: int, limit: int | None) -> bool:
    """A request that costs nothing is never refused, even by a budget that is used up."""
    return limit is None or amount == 0 or used + amount <= limit


@dataclass(slots=True)
class _Kept:
    hold: Hold
    expires: float


@dataclass
class MemoryLedger:
    """The same steps in the memory of one process, for tests."""

    clock: Callable[[], float] = time.monotonic
    """Seconds, for leases alone."""
    entries: list[Entry] = field(default_factory=list)
    _used: dict[str, int] = field(default_factory=dict)
    _reserved: dict[str, int] = field(default_factory=dict)
    _held: dict[str, _Kept] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)

    async def reserve(self, hold: Hold) -> Reserved | Refused:
        """See Ledger."""
        self._sweep()
        expires = self.clock() + hold.lease_ms / 1000
        if kept := self._held.get(hold.id):
            kept.expires = expires
            return Reserved(levels=self._levels([c.counter for c in hold.claims]))
        short = tuple(
            claim
            for claim in hold.claims
            if not has_room(
                self._used.get(claim.counter.id, 0),
                claim.amount,
                claim.counter.budget.refuses_above,
            )
        )
        if short:
            return Refused(claims=short, levels=self._levels([c.counter for c in short]))
        for claim in hold.claims:
            self._add(claim.counter, claim.amount, claim.amount)
        self._held[hold.id] = _Kept(hold, expires)
        return Reserved(levels=self._levels([c.counter for c in hold.claims]))

    async def settle(self, hold: Hold, entry: Entry) -> tuple[Level, ...]:
        """See Ledger."""
        self._sweep()
        if hold.id not in self._done:
            self._done.add(hold.id)
            self._free(hold.id)
            for claim in hold.claims:
                self._add(claim.counter, entry.amount(claim.counter.budget), 0)
            self.entries.append(entry)
        return self._levels([c.counter for c in hold.claims])

    async def settle_many(self, settled: Sequence[Settled]) -> tuple[Level, ...]:
        """See Ledger."""
        levels: dict[str, Level] = {}
        for hold, entry in settled:
            levels |= {level.counter.id: level for level in await self.settle(hold, entry)}
        return tuple(levels.values())

    async def release(self, hold: Hold) -> None:
        """See Ledger."""
        self._free(hold.id)

    async def read(self, counters: Sequence[Counter]) -> tuple[Level, ...]:
        """See Ledger."""
        self._sweep()
        return self._levels(counters)

    def _levels(self, counters: Sequence[Counter]) -> tuple[Level, ...]:
        return tuple(
            Level(counter=c, used=self._used.get(c.id, 0), reserved=self._reserved.get(c.id, 0))
            for c in counters
        )

    def _add(self, counter: Counter, used: int, reserved: int) -> None:
        self._used[counter.id] = self._used.get(counter.id, 0) + used
        self._reserved[counter.id] = self._reserved.get(counter.id, 0) + reserved

    def _free(self, id: str) -> None:
        if kept := self._held.pop(id, None):
            for claim in kept.hold.claims:
                self._add(claim.counter, -claim.amount, -claim.amount)

    def _sweep(self) -> None:
        late = [id for id, kept in self._held.items() if kept.expires <= self.clock()]
        for id in late:
            self._free(id)
