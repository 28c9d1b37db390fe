"""The page's first view: what was asked, saved and added, over an hour, a day, a week or a month.

Money and tokens come from the ledger, by the code of `unabridged spend`; outcomes, failures and
times from the receipts. Nothing is sampled: sums are the database's, medians and percentiles are
exact.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from unabridged.proxy.database import RECEIPT_STEPS, entries, receipts, snapshot
from unabridged.proxy.page_answers import (
    By,
    Caching,
    Counted,
    Figures,
    Group,
    Overview,
    Quantiles,
    Series,
    Span,
    Spread,
    View,
)
from unabridged.proxy.spend import Row, gathered, inside, numbers, report
from unabridged.proxy.window import window

MINUTE = 60_000
DAY = 1440 * MINUTE
BUCKETS: dict[View, tuple[int, int]] = {
    "hour": (MINUTE, 60),
    "day": (30 * MINUTE, 48),
    "week": (180 * MINUTE, 56),
    "month": (DAY, 30),
}
"""Milliseconds of a bucket of each view's charts, and how many there are in the last one."""
LARGEST = 8
"""Groups that have a line of their own in the charts."""
MOST_REASONS = 10
_SUMMED = ("tokens_before", "tokens_after", "nano_usd", "saved_nano_usd")
_NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The time that is looked at, and its buckets."""

    start_ms: int
    end_ms: int
    bucket_ms: int

    @property
    def starts(self) -> list[int]:
        """Start of each bucket."""
        return list(range(self.start_ms, self.end_ms, self.bucket_ms))


def stretch(view: View, span: Span, now_ms: int, time_zone: str = "UTC") -> Stretch:
    """`last`: so many buckets, of which the newest is not over; `this`: from the beginning of
    the calendar's hour, day, week or month to its end."""
    bucket_ms, count = BUCKETS[view]
    if span == "this":
        found = window(view, now_ms, time_zone)
        return Stretch(start_ms=found.start_ms, end_ms=found.end_ms or now_ms, bucket_ms=bucket_ms)
    offset = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(time_zone)).utcoffset()
    shift = int(offset.total_seconds() * 1000) if offset else 0
    newest = (now_ms + shift) // bucket_ms * bucket_ms - shift
    return Stretch(
        start_ms=newest - (count - 1) * bucket_ms, end_ms=now_ms + 1, bucket_ms=bucket_ms
    )


def overview(
    engine: Engine,
    *,
    now_ms: int,
    view: View = "day",
    span: Span = "last",
    by: By = "route",
    time_zone: str = "UTC",
) -> Overview:
    """Everything but the budgets, which only the store knows; see levels.py."""
    at = stretch(view, span, now_ms, time_zone)
    money = report(engine, start_ms=at.start_ms, end_ms=at.end_ms, by=by)
    with snapshot(engine) as connection:
        lines = _series(connection, at, by)
        counted = _receipts(connection, at)
        steps = _steps(connection, at)
    told = {
        "window": view,
        "span": span,
        "by": by,
        "starts_ms": at.start_ms,
        "ends_ms": at.end_ms,
        "bucket_ms": at.bucket_ms,
        "starts": at.starts,
        "totals": _figures(money.total),
        "groups": [cast(Group, {"group": row.group, **_figures(row)}) for row in money.rows],
        "series": lines,
        "steps": steps,
        "budgets": {"levels": [], "store_down": False},
        **counted,
    }
    return cast(Overview, told)


def reasons(found: Iterable[tuple[str, int]], most: int = MOST_REASONS) -> list[Counted]:
    """Reasons and how often each was given; those that differ in their numbers alone are one."""
    alike: Counter[str] = Counter()
    for reason, times in found:
        alike[_NUMBER.sub("#", reason) or "nothing could be cut"] += times
    return [Counted(what=what, requests=times) for what, times in alike.most_common(most)]


def hit_rate(uses: Mapping[str, int]) -> float | None:
    """Share of what was found in the cache; something found in part counts half."""
    looked = uses.get("hit", 0) + uses.get("part", 0) + uses.get("miss", 0)
    return (uses.get("hit", 0) + uses.get("part", 0) / 2) / looked if looked else None


def _figures(row: Row) -> Figures:
    def spread(name: str, total: int) -> Spread:
        return Spread(total=total, median=row.medians.get(name))

    return Figures(
        requests=row.requests,
        tokens_before=spread("tokens_before", row.tokens_before),
        tokens_after=spread("tokens_after", row.tokens_after),
        tokens_saved=spread("tokens_saved", row.tokens_before - row.tokens_after),
        saved_share=row.medians.get("saved_share"),
        nano_usd=spread("nano_usd", row.nano_usd),
        saved_nano_usd=spread("saved_nano_usd", row.saved_nano_usd),
        estimated=row.estimated,
        unpriced=row.unpriced,
        lost=row.lost,
    )


def _series(connection: Connection, at: Stretch, by: By) -> list[Series]:
    # Whole numbers are divided as whole numbers on every database.
    number = (entries.c.at_ms - at.start_ms).op("/", precedence=8)(at.bucket_ms)
    sums = [sa.func.sum(entries.c[name]).label(name) for name in _SUMMED]
    group = entries.c[by]
    query = sa.select(
        number.label("bucket"), group.label("group"), sa.func.count().label("requests"), *sums
    ).where(*inside(at.start_ms, at.end_ms))
    found: dict[str, list[Mapping[Any, Any]]] = {}
    for row in connection.execute(query.group_by("bucket", group)).mappings():
        found.setdefault(row["group"] or "", []).append(row)
    ranked = sorted(found, key=lambda name: -sum(row["requests"] for row in found[name]))
    lines = [_line(name, False, found[name], at) for name in ranked[:LARGEST]]
    rest = [row for name in ranked[LARGEST:] for row in found[name]]
    return [*lines, _line("other", True, rest, at)] if rest else lines


def _line(group: str, rest: bool, found: Sequence[Mapping[Any, Any]], at: Stretch) -> Series:
    columns = {name: [0] * len(at.starts) for name in ("requests", *_SUMMED)}
    for row in found:
        for name, column in columns.items():
            column[int(row["bucket"])] += int(row[name] or 0)
    return cast(Series, {"group": group, "rest": rest, **columns})


def _receipts(connection: Connection, at: Stretch) -> dict[str, Any]:
    within = (receipts.c.at_ms >= at.start_ms, receipts.c.at_ms < at.end_ms)
    keys = [receipts.c[name] for name in ("outcome", "failure", "cache", "cache_depth", "gate")]
    query = sa.select(
        *keys,
        sa.func.count().label("requests"),
        sa.func.sum(receipts.c.recovered).label("recovered"),
    ).where(*within)
    found = list(connection.execute(query.group_by(*keys)).mappings())

    def counted(name: str, leave: tuple[str, ...] = ()) -> list[Counted]:
        times: Counter[str] = Counter()
        for row in found:
            times[row[name]] += row["requests"]
        return [Counted(what=k, requests=n) for k, n in times.most_common() if k not in leave]

    uses = counted("cache", leave=("off",))
    why = sa.select(receipts.c.reason, sa.func.count().label("requests")).where(
        *within, receipts.c.outcome == "untouched"
    )
    untouched = connection.execute(why.group_by(receipts.c.reason))
    caching = Caching(
        uses=uses,
        hit_rate=hit_rate({u["what"]: u["requests"] for u in uses}),
        depths=counted("cache_depth", leave=("",)),
        gate=counted("gate", leave=("",)),
    )
    return {
        "outcomes": counted("outcome"),
        "failed_open": counted("failure", leave=("",)),
        "untouched": reasons((row.reason, row.requests) for row in untouched),
        "cache": caching,
        "recovered": sum(int(row["recovered"] or 0) for row in found),
    }


def _steps(connection: Connection, at: Stretch) -> list[Quantiles]:
    columns = {step: receipts.c[f"{step}_us"] for step in RECEIPT_STEPS}
    query = sa.select(*(gathered(column).label(step) for step, column in columns.items())).where(
        receipts.c.at_ms >= at.start_ms, receipts.c.at_ms < at.end_ms
    )
    row = connection.execute(query).mappings().one()
    found = []
    for step in RECEIPT_STEPS:
        spent = numbers(row[step]) / 1000
        if spent.size:
            p50, p95, p99 = (float(p) for p in np.percentile(spent, (50, 95, 99)))
            found.append(Quantiles(step=step, requests=spent.size, p50=p50, p95=p95, p99=p99))
    return found
