"""Receipts in SQL: written in batches, listed, opened, and forgotten after some weeks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from unabridged.proxy.cache import StoreDown
from unabridged.proxy.database import (
    RECEIPT_STEPS,
    insert_new,
    receipt_details,
    receipts,
    snapshot,
)
from unabridged.proxy.detail import MOST_SEGMENTS, Detail, segment_rows
from unabridged.proxy.kept_text import KeptTexts
from unabridged.proxy.ledger import plain
from unabridged.proxy.outcome import OUTCOMES, failure, outcome
from unabridged.proxy.page_answers import Facets, RequestDetail, RequestRow, Requests, SegmentRow
from unabridged.proxy.receipt import Receipt, as_record

DETAILS_KEPT = 10_000
"""Newest requests whose segments are remembered."""
SWEEP_SECONDS = 600.0
DAY_MS = 86_400_000
MOST_PAGE = 200
FACETS = ("team", "route", "policy", "model", "outcome")
"""What the list can be filtered by."""
_MOST_FACETS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A request that was, as far as it is on record."""

    row: RequestRow
    segments: list[SegmentRow]
    body: str | None
    """None: its text is not kept."""


class BadPage(ValueError):
    """The list is asked for in a way that cannot be answered."""


@dataclass(slots=True, kw_only=True)
class ReceiptBook:
    """Synchronous: call it from a thread."""

    engine: Engine
    texts: KeptTexts
    days: int = 35
    """How long receipts are kept."""
    clock: Callable[[], float] = time.time
    _swept: float = field(default=0.0)

    def write(self, batch: Sequence[tuple[Receipt, Detail | None]]) -> None:
        """Adds receipts, and puts the text away of those whose policy keeps it."""
        rows, details = [], []
        for receipt, seen in batch:
            detail = seen or Detail()
            until_ms = self._keep_text(receipt, detail)
            rows.append(_row(receipt, detail, until_ms))
            details.append(_detail(receipt, detail))
        with self.engine.begin() as connection:
            connection.execute(insert_new(receipts, connection), rows)
            connection.execute(insert_new(receipt_details, connection), details)
        if self.clock() - self._swept > SWEEP_SECONDS:
            self._swept = self.clock()
            self.sweep()

    def sweep(self) -> None:
        """Forgets what is too old."""
        oldest = int(self.clock() * 1000) - self.days * DAY_MS
        newest = receipt_details.c.at_ms.desc()
        last = sa.select(receipt_details.c.at_ms).order_by(newest).offset(DETAILS_KEPT).limit(1)
        with self.engine.begin() as connection:
            connection.execute(receipts.delete().where(receipts.c.at_ms < oldest))
            connection.execute(receipt_details.delete().where(receipt_details.c.at_ms < oldest))
            if (border := connection.execute(last).scalar()) is not None:
                old = receipt_details.c.at_ms <= border
                connection.execute(receipt_details.delete().where(old))

    def page(
        self, *, wanted: Mapping[str, str], before: str | None = None, count: int = 50
    ) -> Requests:
        """The newest requests that fit. Raises BadPage."""
        if unknown := set(wanted) - set(FACETS):
            raise BadPage(f"unknown filter {sorted(unknown)[0]!r}; known: {', '.join(FACETS)}")
        count = min(max(count, 1), MOST_PAGE)
        query = sa.select(receipts).order_by(receipts.c.at_ms.desc(), receipts.c.id.desc())
        for name, value in wanted.items():
            query = query.where(receipts.c[name] == value)
        if before is not None:
            query = query.where(_older(before))
        with snapshot(self.engine) as connection:
            found = list(connection.execute(query.limit(count + 1)).mappings())
            facets = self._facets(connection)
        more = len(found) > count
        shown = found[:count]
        return Requests(
            requests=[self._told(row) for row in shown],
            next=f"{shown[-1]['at_ms']}.{shown[-1]['id']}" if more else None,
            facets=facets,
        )

    def open(self, request_id: str) -> RequestDetail | None:
        """One request with its segments and, if it is kept, its text; None: not known."""
        query = sa.select(receipts).where(receipts.c.id == request_id)
        more = sa.select(receipt_details).where(receipt_details.c.id == request_id)
        with snapshot(self.engine) as connection:
            row = connection.execute(query).mappings().first()
            detail = connection.execute(more).mappings().first()
        if row is None:
            return None
        record: dict[str, Any] = json.loads(detail["record"]) if detail else {}
        listed: dict[str, Any] = json.loads(detail["segments"]) if detail else {}
        text, why = None, f"policy {row['policy']!r} keeps no text (its keep_text_seconds is 0)"
        if row["text_until_ms"]:
            why = "the time for which its policy keeps text is over"
            try:
                text = self.texts.get(request_id, row["tenant"])
            except StoreDown as error:
                why = f"the store does not answer ({error})"
        return RequestDetail(
            row=self._told(row),
            receipt=record,
            milliseconds=record.get("milliseconds", {}),
            segments=listed.get("segments", []),
            more_segments=listed.get("more", 0),
            text=text,
            why_no_text="" if text else why,
        )

    def since(self, at_ms: int, *, most: int) -> list[RequestRow]:
        """What was written with a time of `at_ms` or later, the newest first."""
        query = sa.select(receipts).where(receipts.c.at_ms >= at_ms)
        ordered = query.order_by(receipts.c.at_ms.desc(), receipts.c.id.desc()).limit(most)
        with snapshot(self.engine) as connection:
            return [self._told(row) for row in connection.execute(ordered).mappings()]

    def last(self, count: int, *, policy: str | None) -> list[Past]:
        """The last requests, the newest first, with their segments and, where it is kept, the
        body; of all policies or of one. Raises StoreDown."""
        query = sa.select(receipts, receipt_details.c.segments).join_from(
            receipts, receipt_details, receipts.c.id == receipt_details.c.id
        )
        if policy is not None:
            query = query.where(receipts.c.policy == policy)
        ordered = query.order_by(receipts.c.at_ms.desc(), receipts.c.id.desc()).limit(count)
        with snapshot(self.engine) as connection:
            found = list(connection.execute(ordered).mappings())
        return [
            Past(
                row=self._told(row),
                segments=json.loads(row["segments"])["segments"],
                body=self.texts.body(row["id"], row["tenant"]) if row["text_until_ms"] else None,
            )
            for row in found
        ]

    def models(self, upstream: str, most: int = 20) -> list[str]:
        """Models that an upstream has answered for lately."""
        since = receipts.c.at_ms >= int(self.clock() * 1000) - 7 * DAY_MS
        query = (
            sa.select(receipts.c.model)
            .where(since, receipts.c.upstream == upstream, receipts.c.status < 400)
            .where(receipts.c.model != "")
            .group_by(receipts.c.model)
            .order_by(sa.func.count().desc())
        )
        with snapshot(self.engine) as connection:
            return list(connection.execute(query.limit(most)).scalars())

    def _keep_text(self, receipt: Receipt, detail: Detail) -> int | None:
        if not detail.keep_seconds:
            return None
        until_ms = int((receipt.at + detail.keep_seconds) * 1000)
        try:
            kept = self.texts.keep(receipt.request_id, detail, until_ms=until_ms)
        except StoreDown:
            return None
        return until_ms if kept else None

    def _facets(self, connection: sa.Connection) -> Facets:
        names = ("team", "route", "policy", "model")
        columns = [receipts.c[name] for name in names]
        newest = sa.select(*columns).order_by(receipts.c.at_ms.desc()).limit(DETAILS_KEPT)
        rows = connection.execute(newest.subquery().select().distinct()).mappings().all()
        found: dict[str, list[str]] = {"outcome": list(OUTCOMES)}
        for name in names:
            found[name] = sorted({row[name] for row in rows} - {""})[:_MOST_FACETS]
        return cast(Facets, found)

    def _told(self, row: Mapping[Any, Any]) -> RequestRow:
        until = row["text_until_ms"]
        told = {name: row[name] for name in RequestRow.__annotations__ if name in row}
        told["added_ms"] = (row["added_us"] or 0) / 1000
        told["has_text"] = bool(until and until > self.clock() * 1000)
        return cast(RequestRow, told)


def _row(receipt: Receipt, detail: Detail, until_ms: int | None) -> dict[str, Any]:
    counted = bool(receipt.tokens_before)
    names = (
        *("path", "model", "key", "team", "route", "policy", "upstream", "compressor"),
        *("cache", "cache_depth", "gate"),
    )
    spent = {"added": receipt.added_ms, **receipt.milliseconds}
    return {
        "id": receipt.request_id,
        "at_ms": int(receipt.at * 1000),
        **{name: plain(getattr(receipt, name)) for name in names},
        "outcome": outcome(receipt),
        "failure": failure(receipt),
        "tenant": plain(detail.tenant),
        "reason": plain(receipt.reason),
        "stream": receipt.stream,
        "status": receipt.status,
        "tokens_before": receipt.before if counted else None,
        "tokens_after": receipt.got if counted else None,
        "recovered": receipt.recovered,
        "nano_usd": receipt.nano_usd,
        "saved_nano_usd": receipt.saved_nano_usd,
        "text_until_ms": until_ms,
        **{
            f"{step}_us": round(spent[step] * 1000) if step in spent else None
            for step in RECEIPT_STEPS
        },
    }


def _detail(receipt: Receipt, detail: Detail) -> dict[str, Any]:
    rows: list[SegmentRow] = []
    if detail.seen is not None:
        rows = [row for row in segment_rows(detail.seen) if row["kind"] != "format"]
    listed = {"segments": rows[:MOST_SEGMENTS], "more": max(0, len(rows) - MOST_SEGMENTS)}
    return {
        "id": receipt.request_id,
        "at_ms": int(receipt.at * 1000),
        "record": json.dumps(as_record(receipt)),
        "segments": json.dumps(listed),
    }


def _older(before: str) -> sa.ColumnElement[bool]:
    at, _, id = before.partition(".")
    if not (at.isascii() and at.isdigit() and len(at) < 19) or not id:
        raise BadPage(f"`before` is the `next` of another page, not {before[:60]!r}")
    at_ms = int(at)
    return (receipts.c.at_ms < at_ms) | ((receipts.c.at_ms == at_ms) & (receipts.c.id < id))
