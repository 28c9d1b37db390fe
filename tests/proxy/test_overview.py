"""The first view says what the ledger says, exactly, and soon enough."""

from __future__ import annotations

import statistics
import time
from typing import Any

import pytest
import sqlalchemy as sa
from ledger_world import NOW
from sqlalchemy.engine import Engine

from unabridged.proxy.database import RECEIPT_STEPS, entries, open_database, receipts
from unabridged.proxy.overview import BUCKETS, LARGEST, hit_rate, overview, reasons, stretch
from unabridged.proxy.spend import spend

MINUTE = 60_000
TEXTS = ("policy", "upstream", "sent_model", "step", "price_version")


def entry(n: int, **fields: Any) -> dict[str, Any]:
    row = {
        **dict.fromkeys(TEXTS, ""),
        "id": f"e{n}", "at_ms": NOW - n * MINUTE, "org": "acme", "team": f"t{n % 3}",
        "route": f"r{n % 12}", "model": "m", "basis": "measured", "nano_usd": 10 * n,
        "saved_nano_usd": 7 * n - 20, "tokens_before": 100 + n, "tokens_after": 50,
    }  # fmt: skip
    return {**row, **fields}


def receipt(n: int, **fields: Any) -> dict[str, Any]:
    names = [c.name for c in receipts.c if isinstance(c.type, sa.String)]
    row = {
        **dict.fromkeys(names, ""),
        "id": f"r{n}", "at_ms": NOW - n * MINUTE, "stream": False, "outcome": "shortened",
        "cache": "miss", "recovered": 0, **{f"{step}_us": 1000 * n for step in RECEIPT_STEPS},
    }  # fmt: skip
    return {**row, **fields}


def filled(
    database: str, paid: list[dict[str, Any]], seen: list[dict[str, Any]] | None = None
) -> Engine:
    engine = open_database(database)
    with engine.begin() as connection:
        connection.execute(entries.insert(), paid)
        if seen:
            connection.execute(receipts.insert(), seen)
    return engine


def test_totals_medians_and_groups_are_exact(database: str) -> None:
    paid = [entry(n) for n in range(1, 50)]
    found = overview(filled(database, paid), now_ms=NOW, view="hour", by="team")
    saved = [row["saved_nano_usd"] for row in paid]
    assert found["totals"]["saved_nano_usd"] == {
        "total": sum(saved),
        "median": statistics.median(saved),
    }
    share = statistics.median((r["tokens_before"] - 50) / r["tokens_before"] for r in paid)
    assert found["totals"]["saved_share"] == pytest.approx(share, abs=1e-5)
    assert {g["group"]: g["requests"] for g in found["groups"]} == {"t0": 16, "t1": 17, "t2": 16}
    assert (
        sum(sum(line["nano_usd"]) for line in found["series"])
        == found["totals"]["nano_usd"]["total"]
    )


def test_the_calendars_window_is_what_spend_prints(database: str) -> None:
    engine = filled(database, [entry(n * 60) for n in range(1, 400)])
    for view in BUCKETS:
        told = overview(engine, now_ms=NOW, view=view, span="this", by="model")["totals"]
        printed = spend(engine, now_ms=NOW, kind=view, by="model").total
        assert told["requests"] == printed.requests
        assert told["nano_usd"]["total"] == printed.nano_usd
        assert told["saved_nano_usd"]["total"] == printed.saved_nano_usd


def test_the_smaller_groups_share_a_line(database: str) -> None:
    found = overview(filled(database, [entry(n) for n in range(59)]), now_ms=NOW, view="hour")
    assert len(found["groups"]) == 12
    assert [line["rest"] for line in found["series"]] == [False] * LARGEST + [True]
    assert sum(sum(line["requests"]) for line in found["series"]) == 59


def test_each_request_is_in_its_bucket(database: str) -> None:
    engine = filled(database, [entry(0, at_ms=NOW), entry(1, at_ms=NOW - 59 * MINUTE + 1)])
    found = overview(engine, now_ms=NOW, view="hour", by="model")
    line = found["series"][0]["requests"]
    assert (line[-1], sum(line), len(line)) == (1, 2, 60)
    for start, requests in zip(found["starts"], line, strict=True):
        if requests and start != found["starts"][-1]:
            assert start <= NOW - 59 * MINUTE + 1 < start + found["bucket_ms"]


def test_failures_reasons_cache_and_times_come_from_the_receipts(database: str) -> None:
    seen = [
        receipt(1, cache="hit", recovered=2, cache_depth="plan"),
        receipt(2),
        receipt(3, outcome="failed open", failure="compress deadline", cache="off"),
        receipt(4, outcome="untouched", reason="84 tokens are fewer than min_tokens (300)"),
        receipt(5, outcome="untouched", reason="9 tokens are fewer than min_tokens (300)"),
        receipt(99, outcome="refused"),
    ]
    found = overview(filled(database, [entry(1)], seen), now_ms=NOW, view="hour")
    assert found["failed_open"] == [{"what": "compress deadline", "requests": 1}]
    assert found["untouched"] == [{"what": "# tokens are fewer than min_tokens (#)", "requests": 2}]
    assert found["cache"]["hit_rate"] == 0.25
    assert found["cache"]["depths"] == [{"what": "plan", "requests": 1}]
    assert found["recovered"] == 2
    added = found["steps"][0]
    assert (added["step"], added["requests"], added["p50"]) == ("added", 5, 3.0)
    assert {c["what"]: c["requests"] for c in found["outcomes"]} == {
        "shortened": 2, "untouched": 2, "failed open": 1,
    }  # fmt: skip


def test_nothing_on_record_is_a_view_of_nothing(database: str) -> None:
    found = overview(open_database(database), now_ms=NOW)
    assert found["totals"]["requests"] == 0
    assert found["totals"]["nano_usd"] == {"total": 0, "median": None}
    assert found["series"] == [] and found["steps"] == []


def test_a_days_bucket_begins_at_local_midnight() -> None:
    at = stretch("month", "last", NOW, "Asia/Seoul")
    assert all((start + 9 * 60 * MINUTE) % (24 * 60 * MINUTE) == 0 for start in at.starts)
    assert at.starts[-1] <= NOW < at.end_ms


def test_a_part_found_is_half_a_hit() -> None:
    assert hit_rate({"hit": 1, "part": 2, "miss": 1}) == 0.5
    assert hit_rate({"store-down": 3}) is None


def test_reasons_that_differ_in_numbers_are_one() -> None:
    assert reasons([("a 1", 2), ("a 2.5", 3), ("", 1)]) == [
        {"what": "a #", "requests": 5},
        {"what": "nothing could be cut", "requests": 1},
    ]


@pytest.mark.slow
def test_a_hundred_thousand_entries_are_seen_within_a_second(database: str) -> None:
    step = 25 * 24 * 60 * MINUTE // 100_000
    paid = [entry(n, at_ms=NOW - n * step) for n in range(100_000)]
    seen = [receipt(n, at_ms=NOW - n * step) for n in range(100_000)]
    engine = filled(database, paid, seen)
    spent, waited = [], []
    for _ in range(3):
        start, began = time.process_time(), time.perf_counter()
        assert overview(engine, now_ms=NOW, view="month")["totals"]["requests"] == 100_000
        spent.append(time.process_time() - start)
        waited.append(time.perf_counter() - began)
    # Processor time, which other work on the machine does not add to.
    assert min(spent) < 1.0, (spent, waited)
    print(f"overview of 100,000: {min(spent):.3f} s of processor, {min(waited):.3f} s")
