"""What was spent and saved, added up from the ledger by team, key, model, route or policy."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Engine

from unabridged.policies.budget import WindowKind
from unabridged.proxy.database import entries, snapshot
from unabridged.proxy.window import window

BY = ("org", "team", "user", "key", "route", "model", "sent_model", "policy", "upstream", "basis")
"""What can be added up by."""


class BadSpend(ValueError):
    """The report is asked for in a way that cannot be answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The sums of one group, and what its median request is like."""

    group: str
    """Empty: those that have none."""
    requests: int
    nano_usd: int
    """What is known to have been spent."""
    saved_nano_usd: int
    """What was saved by cutting, net of the provider's discount for cached text; negative if
    cutting cost more than it saved."""
    tokens_before: int
    tokens_after: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    estimated: int
    """Requests whose tokens we counted ourselves."""
    unpriced: int
    """Requests whose cost is not known; it is not in the sum."""
    lost: int
    """Requests whose proxy died before it could say; what they cost is not known."""
    medians: Mapping[str, float | None] = field(default_factory=dict)
    """Of MEDIANS, each over the requests where it is known; None: of none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a stretch of time cost and saved."""

    rows: list[Row]
    """The groups, the dearest first."""
    total: Row
    """All of them together."""


def spend(
    engine: Engine,
    *,
    now_ms: int,
    by: str = "team",
    kind: WindowKind = "month",
    time_zone: str = "UTC",
    org: str | None = None,
) -> Report:
    """The current window. Raises BadSpend."""
    at = window(kind, now_ms, time_zone)
    return report(engine, start_ms=at.start_ms, end_ms=at.end_ms, by=by, org=org)


def report(
    engine: Engine, *, start_ms: int, end_ms: int | None, by: str, org: str | None = None
) -> Report:
    """From `start_ms` to before `end_ms`. Raises BadSpend."""
    if by not in BY:
        raise BadSpend(f"unknown group {by!r}; known: {', '.join(BY)}")
    group = entries.c[by]
    query = sa.select(group.label("group"), *_sums(), *_lists()).where(*inside(start_ms, end_ms))
    if org is not None:
        query = query.where(entries.c.org == org)
    with snapshot(engine) as connection:
        found = list(connection.execute(query.group_by(group)).mappings())
    lists = [{name: numbers(row[f"all_{name}"]) for name in GATHERED} for row in found]
    rows = [
        Row(
            group=row["group"] or "",
            **{n: int(row[n] or 0) for n in NUMBERS},
            medians=_medians(each),
        )
        for row, each in zip(found, lists, strict=True)
    ]
    whole = {name: np.concatenate([numbers(None), *(e[name] for e in lists)]) for name in GATHERED}
    total = Row(
        group="total",
        **{n: sum(getattr(row, n) for row in rows) for n in NUMBERS},
        medians=_medians(whole),
    )
    return Report(rows=sorted(rows, key=lambda row: (-row.nano_usd, row.group)), total=total)


def inside(start_ms: int, end_ms: int | None) -> list[sa.ColumnElement[bool]]:
    """The entries of a stretch of time."""
    after = [] if end_ms is None else [entries.c.at_ms < end_ms]
    return [entries.c.at_ms >= start_ms, *after]


def numbers(joined: str | None) -> NDArray[np.float64]:
    """What `gathered` has put into one string."""
    return np.fromstring(joined or "", sep=",")


def gathered(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """All numbers of a group as one string: a single value, which the database makes without
    holding up Python, and which gives exact quantiles on every database."""
    return sa.func.aggregate_strings(sa.cast(column, sa.String), ",")


def _medians(found: Mapping[str, NDArray[np.float64]]) -> dict[str, float | None]:
    before, after = found["tokens_before"], found["tokens_after"]
    prompts = before > 0
    whole = {
        **found,
        "tokens_saved": before - after,
        "saved_share": (before - after)[prompts] / before[prompts],
    }
    return {name: float(np.median(whole[name])) if whole[name].size else None for name in MEDIANS}


def as_csv(rows: Sequence[Row]) -> str:
    """With a header; money in nano-dollars, exact."""
    out = io.StringIO()
    writer = csv.DictWriter(out, ["group", *NUMBERS, *_IN_CSV.values()], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        # A name that begins like a formula must not become one in a spreadsheet.
        safe = "'" + row.group if row.group[:1] in ("=", "+", "-", "@", "\t", "\r") else row.group
        own = {name: getattr(row, name) for name in NUMBERS}
        medians = {_IN_CSV[name]: row.medians.get(name) for name in MEDIANS}
        writer.writerow({"group": safe, **own, **medians})
    return out.getvalue()


def _sums() -> list[sa.Label[int]]:
    plain = [
        sa.func.sum(entries.c[name]).label(name)
        for name in NUMBERS
        if name in entries.c and name != "lost"
    ]
    kinds = {
        "estimated": entries.c.basis.in_(("estimated", "partial")),
        "unpriced": entries.c.basis == "unpriced",
        "lost": entries.c.basis == "lost",
    }
    counted = [
        sa.func.sum(sa.case((condition, 1), else_=0)).label(name)
        for name, condition in kinds.items()
    ]
    return [sa.func.count().label("requests"), *plain, *counted]


def _lists() -> list[sa.Label[str]]:
    counted = entries.c.tokens_before.is_not(None) & entries.c.tokens_after.is_not(None)
    columns: dict[str, sa.ColumnElement[Any]] = {name: entries.c[name] for name in GATHERED}
    for name in ("tokens_before", "tokens_after"):
        columns[name] = sa.case((counted, entries.c[name]))  # so that they go in pairs
    return [gathered(column).label(f"all_{name}") for name, column in columns.items()]


NUMBERS = tuple(f.name for f in fields(Row) if f.name not in ("group", "medians"))
GATHERED = ("tokens_before", "tokens_after", "nano_usd", "saved_nano_usd")
MEDIANS = (*GATHERED, "tokens_saved", "saved_share")
"""What a group's median is told of."""
_IN_CSV = {name: f"median_{name}" for name in MEDIANS}
