"""A changed policy is tried on what is on record: compressed again where the text is kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from page_client import PROMPT
from receipt_world import book, detail, receipt, seen
from test_playground import playground

from unabridged.abridge import abridge, policy_for
from unabridged.compression.tokens import counter
from unabridged.policies.policy import Keep, Policy, Range
from unabridged.proxy.detail import segment_rows
from unabridged.proxy.dry_run import NO_PROMPT, dry_run, reckoned, target, understood
from unabridged.proxy.page_answers import DryRun

QUARTER = Policy(compressor="extractive", rate=0.25, min_tokens=0, min_saving=0.0)
COUNTS: Any = {"tokens_before": {"document": 400}, "tokens_after": {"document": 200}}


def tried(tmp_path: Path, policy: Policy, **fields: Any) -> DryRun:
    pages = book(f"sqlite:///{tmp_path}/l.db")
    whole = seen(PROMPT)
    before = sum(whole.compressed.tokens_before)
    counts = {"tokens_before": {"x": before}, "tokens_after": {"x": before // 2}}
    own = {"model": "gpt-4o", "policy": "p", "saved_nano_usd": 1000, "status": 200, **counts}
    told = detail(**fields)
    told.seen = whole
    pages.write([(receipt(1, **own), told), (receipt(2, policy="p"), detail())])
    return asyncio.run(dry_run(pages.last(100, policy="p"), policy, playground()))


def test_kept_text_is_compressed_again_exactly(tmp_path: Path) -> None:
    found = tried(tmp_path, QUARTER, keep_seconds=60)
    (row,) = found["rows"]
    assert row["how"] == "compressed"
    again = abridge(PROMPT, QUARTER, count=counter("gpt-4o"))
    assert row["tokens_now"] == sum(again.compressed.tokens_after) < row["tokens_then"]
    cut_now, cut_then = (row["tokens_before"] - row[k] for k in ("tokens_now", "tokens_then"))  # type: ignore[literal-required]
    assert row["saved_nano_usd_now"] == round(1000 * cut_now / cut_then)
    assert found["totals"]["compressed"] == 1
    assert found["skipped"] == [{"what": NO_PROMPT, "requests": 1}]


def test_without_text_the_budget_controller_reckons(tmp_path: Path) -> None:
    found = tried(tmp_path, QUARTER)
    (row,) = found["rows"]
    assert row["how"] == "reckoned"
    again = abridge(PROMPT, QUARTER, count=counter("gpt-4o"))
    got = sum(again.compressed.tokens_after)
    assert row["tokens_now"] == pytest.approx(got, rel=0.1)


def test_a_policy_that_keeps_everything_saves_nothing() -> None:
    rows = segment_rows(seen(PROMPT))
    before = sum(row["tokens"] for row in rows)
    everything = QUARTER.model_copy(update={"keep": Keep(document=1.0)})
    assert reckoned(rows, before, everything)[0] == before
    short = QUARTER.model_copy(update={"min_tokens": 10**6})
    after, why = reckoned(rows, before, short)
    assert after == before and "min_tokens" in why


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (QUARTER, "rate 0.25"),
        (Policy(target_tokens=800), "800 tokens"),
        (Policy(ranges=(Range(rate=0.5),)), "by length"),
        (Policy(), "no rate"),
    ],
)
def test_a_policy_is_told_in_a_few_words(policy: Policy, expected: str) -> None:
    assert target(policy) == expected
    assert understood(policy) == f"{policy.compressor}, {expected}"


def test_the_shipped_policies_can_be_tried(tmp_path: Path) -> None:
    assert tried(tmp_path, policy_for("lossless"))["totals"]["requests"] == 1
