"""How full every budget is, for whom, and where it is heading."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import groupby

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from unabridged.policies.budget import SCOPES, Budget, Scopes
from unabridged.proxy.callers import OPEN_ORG
from unabridged.proxy.database import entries, snapshot
from unabridged.proxy.ledger import Counter, LedgerDown, Level, counters
from unabridged.proxy.page_answers import BudgetLevel, Levels
from unabridged.proxy.till import Till
from unabridged.proxy.window import window

MOST = 200
"""Counters that are told."""
MOST_SCOPES = 5000
TOO_EARLY = 0.01
"""Share of a window before which nothing is projected."""


async def levels(till: Till, engine: Engine, now_ms: int) -> Levels:
    """All counters that anything was charged to in their window, and those of budgets that have
    one for all; the fullest first."""
    budgets = till.book.current.all
    on = await asyncio.to_thread(known_counters, engine, budgets, now_ms)
    found: list[Level] = []
    try:
        for _, same in groupby(on, key=lambda counter: counter.org):
            found += await till.ledger.read(list(same))
    except LedgerDown:
        return Levels(levels=[], store_down=True)
    told = [_told(level, now_ms) for level in found]
    told.sort(key=lambda one: -(one["spent"] + one["reserved"]) / max(one["limit"], 1))
    return Levels(levels=told[:MOST], store_down=False)


def known_counters(engine: Engine, budgets: Sequence[Budget], now_ms: int) -> list[Counter]:
    """By organisation. From a thread: asks the ledger who paid."""
    if not budgets:
        return []
    starts = [window(b.window, now_ms, b.time_zone).start_ms for b in budgets]
    columns = [entries.c[scope] for scope in SCOPES]
    latest = sa.func.max(entries.c.at_ms).label("latest")
    query = sa.select(*columns, latest).where(entries.c.at_ms >= min(starts)).group_by(*columns)
    with snapshot(engine) as connection:
        rows = list(connection.execute(query.order_by(latest.desc()).limit(MOST_SCOPES)))
    paid = [
        (Scopes(**{scope: getattr(row, scope) for scope in SCOPES}), row.latest) for row in rows
    ]
    found = {
        counter.id: counter
        for scopes, latest_ms in paid
        for counter in counters(budgets, scopes, now_ms)
        if latest_ms >= counter.window.start_ms
    }
    for counter in _standing(budgets, now_ms):
        found.setdefault(counter.id, counter)
    return sorted(found.values(), key=lambda counter: counter.org)


def projected(spent: int, start_ms: int, end_ms: int | None, now_ms: int) -> int | None:
    """What will be spent at the end if it goes on as since the start; None: nobody can tell."""
    if end_ms is None:
        return None
    passed = (now_ms - start_ms) / (end_ms - start_ms)
    return round(spent / passed) if passed >= TOO_EARLY else None


def _standing(budgets: Iterable[Budget], now_ms: int) -> Iterable[Counter]:
    """The counters of budgets that count everybody together: they are there from the start."""
    for budget in budgets:
        org = budget.match.org or OPEN_ORG
        if budget.each is None and not set("*?[") & set(org):
            at = window(budget.window, now_ms, budget.time_zone)
            yield Counter(org=org, budget=budget, subject="", window=at)


def _told(level: Level, now_ms: int) -> BudgetLevel:
    budget, at = level.counter.budget, level.counter.window
    return BudgetLevel(
        budget=budget.name,
        org=level.counter.org,
        subject=level.counter.subject or None,
        window=budget.window,
        unit=budget.unit,
        limit=budget.amount,
        spent=level.spent,
        reserved=level.reserved,
        projected=projected(level.spent, at.start_ms, at.end_ms, now_ms),
        step=(budget.step(level.used) or (None,))[0],
        steps=[f"{share} {step.said}" for _, share, step in budget.steps],
        starts_ms=at.start_ms,
        ends_ms=at.end_ms,
    )
