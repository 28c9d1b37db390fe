"""A small part of a budget that this process sets aside, to spend while the store is down."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from unabridged.policies.budget import Scopes
from unabridged.proxy.ledger import LARGEST, Claim, Counter, Entry, Hold, Ledger, Reserved

LEASE_MS = 600_000
"""How long a slice outlives this process, and how long an outage may last for its bound to be
exact."""


@dataclass(slots=True)
class _Slice:
    hold: Hold
    left: int


class Slices:
    """By counter. All slices of all instances are reserved in the store like any request, so
    what is spent from them stays within the budget; if the store loses them, the budget is
    passed by their sum at most."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._held: dict[str, _Slice] = {}
        self._wanted: dict[str, Counter] = {}

    def want(self, counters: Sequence[Counter]) -> None:
        """These counters are in use: set something aside of those that ask for it, when
        `refill` comes round."""
        for counter in counters:
            if counter.budget.store_down == "lease" and counter.id not in self._held:
                self._wanted[counter.id] = counter

    def take(self, counter: Counter, amount: int) -> bool:
        """True if the slice has so much left; then it is spent."""
        held = self._held.get(counter.id)
        if held is None or held.left < amount:
            return False
        held.left -= amount
        return True

    def put_back(self, counter: Counter, amount: int) -> None:
        """What was taken was not spent after all."""
        held = self._held.get(counter.id)
        if held is not None:
            held.left += amount

    async def refill(self, now_ms: int) -> None:
        """Sets aside what is wanted, renews what is held, and gives back what was spent from
        (its spending is charged by itself) or whose window has ended. Raises LedgerDown."""
        for id, held in list(self._held.items()):
            (claim,) = held.hold.claims
            end = claim.counter.window.end_ms
            over = end is not None and now_ms >= end
            if over or held.left < claim.amount:
                await self._ledger.release(held.hold)
                del self._held[id]
                if not over:
                    self._wanted[id] = claim.counter
            elif not isinstance(await self._ledger.reserve(held.hold), Reserved):
                del self._held[id]
        for id, counter in list(self._wanted.items()):
            hold = _slice(counter, now_ms)
            if isinstance(await self._ledger.reserve(hold), Reserved):
                self._held[id] = _Slice(hold, hold.claims[0].amount)
            del self._wanted[id]

    async def release(self) -> None:
        """Gives back everything. Raises LedgerDown."""
        for held in self._held.values():
            await self._ledger.release(held.hold)
        self._held.clear()


def _slice(counter: Counter, now_ms: int) -> Hold:
    budget = counter.budget
    amount = min(LARGEST, int((budget.refuses_above or budget.amount) * budget.slice_share))
    entry = Entry(id=f"slice-{uuid.uuid4().hex}", at_ms=now_ms, scopes=Scopes(org=counter.org))
    entry = replace(entry, basis="lost")
    claims = (Claim(counter=counter, amount=amount),)
    return Hold(entry=entry, claims=claims, lease_ms=LEASE_MS, journaled=False)
