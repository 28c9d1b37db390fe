"""What was spent and saved, added up from the ledger by team, key, model, route or policy."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import sqlalchemy as sa
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
    """The sum of one group."""

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


def spend(
    engine: Engine,
    *,
    now_ms: int,
    by: str = "team",
    kind: WindowKind = "month",
    time_zone: str = "UTC",
    org: str | None = None,
) -> list[Row]:
    """The groups of the current window, the dearest first. Raises BadSpend."""
    if by not in BY:
        raise BadSpend(f"unknown group {by!r}; known: {', '.join(BY)}")
    inside = window(kind, now_ms, time_zone)
    group = entries.c[by]
    query = sa.select(group.label("group"), *_sums()).where(entries.c.at_ms >= inside.start_ms)
    if inside.end_ms is not None:
        query = query.where(entries.c.at_ms < inside.end_ms)
    if org is not None:
        query = query.where(entries.c.org == org)
    with snapshot(engine) as connection:
        rows = connection.execute(query.group_by(group)).mappings()
        found = [
            Row(group=row["group"] or "", **{n: int(row[n] or 0) for n in NUMBERS}) for row in rows
        ]
    return sorted(found, key=lambda row: (-row.nano_usd, row.group))


def total(rows: Sequence[Row]) -> Row:
    """All groups together."""
    return Row(group="total", **{n: sum(getattr(row, n) for row in rows) for n in NUMBERS})


def as_csv(rows: Sequence[Row]) -> str:
    """With a header; money in nano-dollars, exact."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        # A name that begins like a formula must not become one in a spreadsheet.
        safe = "'" + row.group if row.group[:1] in ("=", "+", "-", "@", "\t", "\r") else row.group
        writer.writerow({**asdict(row), "group": safe})
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


NUMBERS = tuple(field.name for field in fields(Row) if field.name != "group")
