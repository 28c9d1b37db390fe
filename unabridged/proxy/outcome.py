"""What became of a request, in a few words that can be counted."""

from __future__ import annotations

from typing import Literal, get_args

from unabridged.proxy.receipt import Receipt

Outcome = Literal[
    "shortened",
    "untouched",
    "failed open",
    "refused",
    "upstream error",
    "broken off",
    "client gone",
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
STEPS = ("queue", "split", "plan", "compress", "render", "restore")
"""Steps of ours that can fail, as `Receipt.failed_step` names them."""


def outcome(receipt: Receipt) -> Outcome:
    """One for each receipt: how it ended, or else what the upstream said, or else whether our
    work failed, or else whether there was anything to cut."""
    if receipt.ended == "refused":
        return "refused"
    if receipt.ended == "client gone":
        return "client gone"
    if receipt.ended == "broken off":
        return "broken off"
    if receipt.status is not None and receipt.status >= 400:
        return "upstream error"
    if receipt.failed_step:
        return "failed open"
    return "shortened" if receipt.got < receipt.before else "untouched"


def failure(receipt: Receipt) -> str:
    """Which step of ours failed and how: `queue full`, `compress deadline`, `restore error`;
    empty: none did. One of a few, whatever the receipt's words are."""
    step = receipt.failed_step
    if not step:
        return ""
    if "deadline" in receipt.reason:
        return f"{step} deadline"
    if step == "queue":
        return "queue full"
    return f"{step} error"
