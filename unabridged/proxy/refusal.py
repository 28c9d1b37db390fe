"""Why a request is not sent for reasons of money, in words and in fields for programs."""

from __future__ import annotations

from typing import Any

from unabridged.policies.budget import NANO, Budget
from unabridged.proxy.ledger import Claim, Level

WAIT_SECONDS = 2
"""What Retry-After says where waiting helps."""


class Refusal(Exception):
    """Nothing was sent. `metadata` is for programs, `retry_seconds` None if waiting is of no
    use."""

    def __init__(
        self, message: str, metadata: dict[str, Any], retry_seconds: int | None = None
    ) -> None:
        self.metadata = metadata
        self.retry_seconds = retry_seconds
        super().__init__(message)


class BudgetExceeded(Refusal):
    """A budget has no room for what the request could cost."""

    def __init__(self, claim: Claim, level: Level) -> None:
        budget, window = claim.counter.budget, claim.counter.window
        limit = budget.refuses_above or 0
        self.claim, self.level = claim, level
        waiting_helps = level.reserved > 0 and level.spent + claim.amount <= limit
        resets = f"; it resets at {window.resets_at}" if window.resets_at else ""
        whose = f" of {budget.each} {claim.counter.subject!r}" if budget.each else ""
        super().__init__(
            f"budget {budget.name!r}{whose} ({budget.window}) has no room for this request: "
            f"limit {shown(budget, limit)}, spent {shown(budget, level.spent)}, reserved "
            f"{shown(budget, level.reserved)}, this request up to {shown(budget, claim.amount)}"
            f"{resets}",
            {
                "budget": budget.name,
                "scope": budget.each or "all",
                "subject": claim.counter.subject or None,
                "window": budget.window,
                "unit": "nano_usd" if budget.unit == "money" else budget.unit,
                "limit": limit,
                "spent": level.spent,
                "reserved": level.reserved,
                "requested": claim.amount,
                "resets_at": window.resets_at,
            },
            WAIT_SECONDS if waiting_helps else None,
        )


class Unpriced(Refusal):
    """The model has no price, and a budget does not let such models through."""

    def __init__(self, model: str, by: str) -> None:
        super().__init__(
            f"the price of model {model[:100]!r} is not known, and {by} needs one: add it under "
            f"money.prices in the configuration, or set the budget's unknown_price",
            {"model": model[:100], "by": by},
        )


class OverCap(Refusal):
    """The request's own cap cannot be met, not even by compressing."""

    def __init__(self, header: str, cap: str, needs: str) -> None:
        super().__init__(
            f"header {header} allows {cap}, and this request needs {needs} even after compressing",
            {"header": header, "cap": cap, "needs": needs},
        )


class MoneyDown(Refusal):
    """The store cannot be asked, and a budget is closed then."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(
            f"budget {budget.name!r} cannot be checked, because the store does not answer "
            f"(its store_down is {budget.store_down!r})",
            {"budget": budget.name, "store_down": budget.store_down},
            1,
        )


def shown(budget: Budget, amount: int) -> str:
    """An amount as a person reads it."""
    if budget.unit == "money":
        return dollars(amount)
    return f"{amount:,} {budget.unit}"


def dollars(nano_usd: int) -> str:
    """Exact, with at least two decimals: $0.10, $0.000123."""
    sign = "-" if nano_usd < 0 else ""
    whole, rest = divmod(abs(nano_usd), NANO)
    decimals = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}${whole:,}.{decimals}"
