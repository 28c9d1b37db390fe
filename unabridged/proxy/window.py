"""Which stretch of time a budget counts, from the clock that is passed in.

A window is part of the name of its counter. So nothing is ever reset by a job, and a clock that
is set back finds the counter that it left.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from unabridged.policies.budget import WindowKind

FIXED = {"minute": 60_000, "hour": 3_600_000}
"""Milliseconds of the windows that are the same everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start_ms` to before `end_ms`, in milliseconds since 1970 (UTC)."""

    kind: WindowKind
    start_ms: int
    end_ms: int | None
    """None: it never ends."""

    @property
    def resets_at(self) -> str | None:
        """The end in ISO 8601, UTC; None: it never resets."""
        if self.end_ms is None:
            return None
        return datetime.fromtimestamp(self.end_ms / 1000, UTC).isoformat().replace("+00:00", "Z")


def window(kind: WindowKind, now_ms: int, time_zone: str = "UTC") -> Window:
    """The window of a kind that holds an instant. Days begin at the first local midnight, and
    where a change of clocks skips midnight, at the first instant of the day."""
    if kind == "total":
        return Window(kind=kind, start_ms=0, end_ms=None)
    if kind in FIXED:
        length = FIXED[kind]
        start = now_ms // length * length
        return Window(kind=kind, start_ms=start, end_ms=start + length)
    zone = ZoneInfo(time_zone)
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    first, after = _days(kind, today)
    return Window(kind=kind, start_ms=_midnight(first, zone), end_ms=_midnight(after, zone))


def _days(kind: WindowKind, today: date) -> tuple[date, date]:
    if kind == "day":
        return today, today + timedelta(days=1)
    if kind == "week":
        first = today - timedelta(days=today.weekday())
        return first, first + timedelta(days=7)
    first = today.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def _midnight(day: date, zone: ZoneInfo) -> int:
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    return int(local.timestamp()) * 1000
