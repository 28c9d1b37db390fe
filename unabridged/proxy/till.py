"""Money for one request: which steps are in force, what is reserved, and what it came to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from unabridged.policies.budget import Budget, Scopes
from unabridged.policies.config import Money
from unabridged.policies.tighten import InForce
from unabridged.proxy.budget_book import BudgetBook, Budgets
from unabridged.proxy.estimate import Estimate, Wanted, estimate
from unabridged.proxy.ids import unique
from unabridged.proxy.ledger import (
    LARGEST,
    Basis,
    Claim,
    Counter,
    Entry,
    Hold,
    Ledger,
    LedgerDown,
    Level,
    Refused,
    Reserved,
    counters,
    plain,
)
from unabridged.proxy.price import Price, Prices
from unabridged.proxy.refusal import BudgetExceeded, MoneyDown, Unpriced
from unabridged.proxy.settler import Settler
from unabridged.proxy.slices import Slices
from unabridged.proxy.spool import Spool
from unabridged.proxy.usage import Used, cost, saved

FRESH_SECONDS = 1.0
"""How old the known level of a counter may be when a step is chosen. Whether there is room is
always asked anew."""
ROUND_SECONDS = 1.0
"""How often leases, slices, budgets and what was spooled are looked after."""
KNOWN_LEVELS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The budgets of a request, pinned when it came."""

    id: str
    scopes: Scopes
    at_ms: int
    budgets: Budgets
    counters: tuple[Counter, ...]
    steps: tuple[InForce, ...] = ()
    """In force, the strongest last."""

    @property
    def counted(self) -> bool:
        """True if any budget counts this request."""
        return bool(self.counters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What is reserved for a request that may be sent."""

    hold: Hold
    price: Price | None
    in_store: bool
    """False: the store was down, and the budgets let the request through all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a request that was sent."""

    used: Used | None
    """Tokens; None: neither told nor counted."""
    basis: Basis
    tier: str = ""
    tokens_before: int | None = None
    tokens_after: int | None = None
    uncut_cached: int | None = None
    """Tokens that the provider would have had in its cache of the uncut prompt; None: as many
    as of the one that was sent."""

    @property
    def cut(self) -> int:
        """Tokens that were cut from the prompt."""
        return (self.tokens_before or 0) - (self.tokens_after or 0)


@dataclass
class Till:
    """Put together at start-up. `run` looks after what is held."""

    ledger: Ledger
    book: BudgetBook
    prices: Prices
    spool: Spool
    settings: Money = field(default_factory=Money)
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""
    on_trouble: Callable[[str], None] = lambda _: None
    _levels: dict[str, tuple[float, Level]] = field(default_factory=dict)
    _running: dict[str, tuple[float, Hold]] = field(default_factory=dict)
    _worst: Price | None = None

    def __post_init__(self) -> None:
        self.slices = Slices(self.ledger)
        self._settler = Settler(
            self.ledger, self.spool, learn=self._learn, on_trouble=self.on_trouble
        )

    async def admit(self, scopes: Scopes) -> Admission:
        """The budgets that count a request, and the steps in force. A store that does not
        answer puts no step in force: whether to go on is decided by `reserve`."""
        budgets, at_ms = self.book.current, int(self.clock() * 1000)
        on = counters(budgets.all, scopes, at_ms)
        admission = Admission(id=unique(), scopes=scopes, at_ms=at_ms, budgets=budgets, counters=on)
        graduated = [c for c in on if any(step.do != "refuse" for _, _, step in c.budget.steps)]
        if not graduated:
            return admission
        try:
            levels = await self._known(graduated)
        except LedgerDown:
            return admission
        return replace(admission, steps=_in_force(levels))

    async def reserve(
        self,
        admission: Admission,
        wanted: Wanted | None,
        *,
        model: str,
        upstream_url: str,
        **notes: Any,
    ) -> Charge:
        """Reserves the most that the request can cost, on all its budgets or none. `notes` are
        fields of the entry. `wanted` may only be None if no budget counts the request.

        Raises BudgetExceeded, Unpriced and MoneyDown.
        """
        price = self.prices.get(model, upstream_url)
        most = None
        if wanted is not None:
            most = estimate(price, wanted, default_output=self.settings.assumed_output)
        entry = Entry(
            id=admission.id,
            at_ms=admission.at_ms,
            scopes=admission.scopes,
            sent_model=plain(model),
            step=plain(", ".join(map(str, admission.steps))),
            price_version=self.prices.version,
            estimated_nano_usd=most.nano_usd if most else None,
            reserved_nano_usd=most.nano_usd if most and admission.counted else None,
            **notes,
        )
        hold = Hold(
            entry=entry,
            claims=tuple(self._claim(c, wanted, most, model) for c in admission.counters)
            if wanted and most
            else (),
            lease_ms=self.settings.lease_seconds * 1000,
        )
        charge = Charge(hold=hold, price=price, in_store=True)
        if not hold.claims:
            return charge  # nothing to hold; the entry is written when it is settled
        self.slices.want(admission.counters)
        try:
            answer = await self._asked(hold)
        except LedgerDown:
            # It may have been granted after we stopped waiting: then its lease will run out.
            self._without_store(hold.claims)
            return replace(charge, in_store=False)
        except asyncio.CancelledError:
            # It may be granted all the same, and nobody would free it before its lease runs out.
            await self.release(charge)
            raise
        self._learn(answer.levels)
        if isinstance(answer, Refused):
            raise _tightest(answer)
        self._running[hold.id] = (time.monotonic(), hold)
        return charge

    async def settle(self, charge: Charge, outcome: Outcome) -> Entry:
        """What a request came to; it is charged soon after, as `settled` tells. Never raises: what
        the store does not take is spooled and charged when it is back.

        Nobody gains by that delay. What the request had reserved is held until it is charged, so
        a request that comes right after the answer finds the budgets too full at most.
        """
        entry = self._entry(charge, outcome)
        self._running.pop(charge.hold.id, None)
        await self._settler.add(charge.hold, entry)
        return entry

    async def settled(self) -> None:
        """Returns when all that was settled before is charged, or spooled."""
        await self._settler.settled()

    async def release(self, charge: Charge) -> None:
        """Frees what was reserved for a request that cost nothing. Never raises."""
        self._running.pop(charge.hold.id, None)
        if not charge.hold.claims:
            return
        try:
            await self.ledger.release(charge.hold)
        except LedgerDown as error:
            self.on_trouble(f"a reservation will be freed by its lease: {error}")

    async def run(self) -> None:
        """Looks after everything until it is cancelled."""
        while True:
            try:
                await self.round()
            except LedgerDown as error:
                self.on_trouble(str(error))
            except Exception as error:  # a database that is away must not end the rounds
                self.on_trouble(f"budgets could not be read: {type(error).__name__}")
            await asyncio.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """Reads changed budgets, renews leases, charges what was spooled, refills slices."""
        await asyncio.to_thread(self.book.refresh)
        due = time.monotonic() - self.settings.lease_seconds / 3
        late = [hold for renewed, hold in self._running.values() if renewed < due]
        for hold in late:
            try:
                await self.ledger.reserve(hold)
            except LedgerDown:
                if hold.id in self._running:
                    raise
            if hold.id in self._running:
                self._running[hold.id] = (time.monotonic(), hold)
        await self._settler.again()
        await self.slices.refill(int(self.clock() * 1000))

    async def close(self) -> None:
        """Charges or spools what was settled, and gives back the slices."""
        await self._settler.close()
        try:
            await self.slices.release()
        except LedgerDown as error:
            self.on_trouble(str(error))
        self.spool.close()

    async def _asked(self, hold: Hold) -> Reserved | Refused:
        """Nobody is refused for a reservation of a request that is over."""
        answer = await self.ledger.reserve(hold)
        if isinstance(answer, Refused) and not self._settler.idle:
            await self._settler.settled()
            answer = await self.ledger.reserve(hold)
        return answer

    async def _known(self, on: Sequence[Counter]) -> list[Level]:
        oldest = time.monotonic() - FRESH_SECONDS
        found = [self._levels.get(counter.id) for counter in on]
        if any(known is None or known[0] < oldest for known in found):
            levels = await self.ledger.read(on)
            self._learn(levels)
            return list(levels)
        # The budget's steps may have changed since: the level is that of the pinned one.
        return [
            replace(known[1], counter=counter)
            for known, counter in zip(found, on, strict=True)
            if known is not None
        ]

    def _learn(self, levels: Sequence[Level]) -> None:
        if len(self._levels) > KNOWN_LEVELS:
            self._levels.clear()
        now = time.monotonic()
        for level in levels:
            self._levels[level.counter.id] = (now, level)

    def _claim(self, counter: Counter, wanted: Wanted, most: Estimate, model: str) -> Claim:
        budget = counter.budget
        if budget.unit == "requests":
            return Claim(counter=counter, amount=1)
        if budget.unit == "tokens":
            return Claim(counter=counter, amount=min(LARGEST, most.tokens))
        if most.nano_usd is not None:
            return Claim(counter=counter, amount=min(LARGEST, most.nano_usd))
        if budget.unknown_price == "worst":
            dear = estimate(self._dearest(), wanted, default_output=self.settings.assumed_output)
            return Claim(counter=counter, amount=min(LARGEST, dear.nano_usd or 0))
        if budget.unknown_price == "refuse" and budget.refuses_above is not None:
            raise Unpriced(model, f"budget {budget.name!r}")
        return Claim(counter=counter, amount=0)

    def _dearest(self) -> Price:
        self._worst = self._worst or self.prices.worst()
        return self._worst

    def _without_store(self, claims: Sequence[Claim]) -> None:
        """Raises MoneyDown if a budget does not let the request through; then nothing is spent
        from the slices of the others."""
        taken: list[Claim] = []
        for claim in claims:
            budget = claim.counter.budget
            if budget.refuses_above is None or budget.store_down == "open":
                continue
            if budget.store_down == "closed" or not self.slices.take(claim.counter, claim.amount):
                for other in taken:
                    self.slices.put_back(other.counter, other.amount)
                raise MoneyDown(budget)
            taken.append(claim)

    @staticmethod
    def gross(charge: Charge, outcome: Outcome) -> int | None:
        """Nano-dollars that the cut tokens would have cost, had the provider had none of them in
        its cache; None: not known."""
        if charge.price is None or outcome.used is None:
            return None
        plain_used = replace(outcome.used, cached=0, cache_write=0)
        return saved(charge.price, outcome.cut, plain_used, tier=outcome.tier)

    def _entry(self, charge: Charge, outcome: Outcome) -> Entry:
        used, price, basis = outcome.used, charge.price, outcome.basis
        if price is None and any(_worst(claim.counter.budget) for claim in charge.hold.claims):
            price = self._dearest()
        nano = cost(price, used, tier=outcome.tier) if price and used else None
        return replace(
            charge.hold.entry,
            basis=basis if nano is not None else "unpriced",
            nano_usd=None if nano is None else min(LARGEST, nano),
            tokens_before=outcome.tokens_before,
            tokens_after=outcome.tokens_after,
            input_tokens=used.input if used else None,
            cached_tokens=used.cached if used else None,
            output_tokens=used.output if used else None,
            reasoning_tokens=used.reasoning if used else None,
            saved_nano_usd=saved(
                price, outcome.cut, used, uncut_cached=outcome.uncut_cached, tier=outcome.tier
            )
            if price and used
            else None,
        )


def _worst(budget: Budget) -> bool:
    return budget.unit == "money" and budget.unknown_price == "worst"


def _in_force(levels: Sequence[Level]) -> tuple[InForce, ...]:
    """The strongest last: by the share at which it begins."""
    reached = [
        (float(found[0].removesuffix("%")), level.counter.budget.name, found)
        for level in levels
        if (found := _tightest_step(level))
    ]
    reached.sort(key=lambda item: item[:2])
    return tuple(InForce(budget=name, share=share, step=step) for _, name, (share, step) in reached)


def _tightest_step(level: Level) -> Any:
    """The last step reached that is not refuse, which is for `reserve` to say."""
    steps = [
        (share, step)
        for mark, share, step in level.counter.budget.steps
        if level.used >= mark and step.do != "refuse"
    ]
    return steps[-1] if steps else None


def _tightest(refused: Refused) -> BudgetExceeded:
    """Of several budgets without room, the one that frees last is told."""
    pairs = list(zip(refused.claims, refused.levels, strict=True))

    def resets(pair: tuple[Claim, Level]) -> float:
        end = pair[0].counter.window.end_ms
        return float("inf") if end is None else end

    return BudgetExceeded(*max(pairs, key=resets))
