"""A refusal says which budget, how much of it is left, and whether waiting helps."""

from __future__ import annotations

from decimal import Decimal

import pytest

from unabridged.policies.budget import Budget, Scopes
from unabridged.proxy.ledger import Claim, Level, counters
from unabridged.proxy.refusal import BudgetExceeded, MoneyDown, OverCap, Unpriced, dollars

NOW = 1_790_000_000_000
ALICE = Scopes(org="acme", user="alice")


def refused(budget: Budget, amount: int, used: int, reserved: int) -> BudgetExceeded:
    (counter,) = counters([budget], ALICE, NOW)
    claim = Claim(counter=counter, amount=amount)
    return BudgetExceeded(claim, Level(counter=counter, used=used, reserved=reserved))


def test_it_names_scope_window_limit_spent_reserved_and_reset() -> None:
    """LiteLLM #14144: the answer did not say which budget."""
    budget = Budget(name="research", each="user", limit=Decimal("100"), window="month")
    error = refused(budget, 30_000_000, 99_980_000_000, 500_000_000)
    assert str(error) == (
        "budget 'research' of user 'alice' (month) has no room for this request: limit $100.00, "
        "spent $99.48, reserved $0.50, this request up to $0.03; it resets at 2026-10-01T00:00:00Z"
    )
    assert error.metadata == {
        "budget": "research",
        "scope": "user",
        "subject": "alice",
        "window": "month",
        "unit": "nano_usd",
        "limit": 100_000_000_000,
        "spent": 99_480_000_000,
        "reserved": 500_000_000,
        "requested": 30_000_000,
        "resets_at": "2026-10-01T00:00:00Z",
    }


def test_waiting_is_advised_only_where_running_requests_hold_what_is_missing() -> None:
    budget = Budget(name="b", limit=Decimal(1), window="total")
    assert refused(budget, 10**8, 10**9, 5 * 10**8).retry_seconds == 2
    assert refused(budget, 10**8, 10**9, 0).retry_seconds is None
    assert refused(budget, 10**9, 10**9, 5 * 10**8).retry_seconds is None


def test_tokens_and_requests_are_told_as_such() -> None:
    budget = Budget(name="b", limit=Decimal(1000), unit="tokens", window="total")
    error = refused(budget, 10, 1000, 0)
    assert "limit 1,000 tokens" in str(error)
    assert error.metadata["unit"] == "tokens"
    assert error.metadata["resets_at"] is None


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (10**8, "$0.10"),
        (123_000, "$0.000123"),
        (1, "$0.000000001"),
        (1_234_567 * 10**9, "$1,234,567.00"),
        (-(10**9), "-$1.00"),
    ],
)
def test_dollars_are_exact(nano: int, text: str) -> None:
    assert dollars(nano) == text


def test_the_others_say_what_to_do() -> None:
    assert "money.prices" in str(Unpriced("own", "budget 'b'"))
    assert "x-unabridged-max-cost allows $0.01" in str(
        OverCap("x-unabridged-max-cost", "$0.01", "100 prompt tokens")
    )
    down = MoneyDown(Budget(name="b", limit=Decimal(1)))
    assert "'closed'" in str(down)
    assert down.retry_seconds == 1
