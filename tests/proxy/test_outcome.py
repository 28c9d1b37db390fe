"""Every receipt has one outcome, and every failure of ours one of a few names."""

from __future__ import annotations

from typing import Any

import pytest

from unabridged.proxy.outcome import OUTCOMES, failure, outcome
from unabridged.proxy.receipt import Receipt

CUT = {"tokens_before": {"document": 9}, "tokens_after": {"document": 4}, "status": 200}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (CUT, "shortened"),
        ({**CUT, "tokens_after": {"document": 9}}, "untouched"),
        ({"status": 200, "reason": "the policy is off"}, "untouched"),
        ({"status": 200, "failed_step": "split"}, "failed open"),
        ({**CUT, "failed_step": "restore"}, "failed open"),
        ({**CUT, "status": 429}, "upstream error"),
        ({"ended": "refused"}, "refused"),
        ({**CUT, "ended": "client gone"}, "client gone"),
        ({**CUT, "ended": "broken off"}, "broken off"),
    ],
)
def test_a_receipt_has_one_outcome(fields: dict[str, Any], expected: str) -> None:
    assert outcome(Receipt(request_id="r", at=0, path="/", **fields)) == expected
    assert expected in OUTCOMES


@pytest.mark.parametrize(
    ("step", "reason", "expected"),
    [
        ("", "84 tokens are fewer than min_tokens (300)", ""),
        ("queue", "all workers are busy and the queue is full", "queue full"),
        ("queue", "queue missed the deadline of 1500 ms", "queue deadline"),
        ("compress", "compress missed the deadline of 1500 ms", "compress deadline"),
        ("split", "split failed: ValueError", "split error"),
        ("restore", "the answer came encoded, though it was not asked to", "restore error"),
    ],
)
def test_a_failure_is_named_without_numbers(step: str, reason: str, expected: str) -> None:
    receipt = Receipt(request_id="r", at=0, path="/", failed_step=step, reason=reason)
    assert failure(receipt) == expected
