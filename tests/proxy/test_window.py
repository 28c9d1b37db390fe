"""A window is a matter of the clock that is passed in, and of nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.policies.budget import WindowKind
from unabridged.proxy.window import window

KINDS = get_args(WindowKind)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # changes its clocks by half an hour
    "America/Sao_Paulo",  # changed them at midnight
    "Asia/Beirut",  # midnight is skipped in spring
    "America/Havana",  # midnight comes twice in autumn
    "Pacific/Apia",  # skipped 30 December 2011
]


def ms(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@given(
    st.sampled_from(KINDS),
    st.integers(ms("2005-01-01"), ms("2037-12-31")),
    st.sampled_from(ZONES),
)
def test_windows_tile_time(kind: WindowKind, now: int, zone: str) -> None:
    """Each instant lies in exactly one; the next begins where it ends."""
    found = window(kind, now, zone)
    assert found.start_ms <= now
    if found.end_ms is None:
        assert kind == "total"
        return
    assert now < found.end_ms
    assert window(kind, found.start_ms, zone) == found
    assert window(kind, found.end_ms - 1, zone) == found
    assert window(kind, found.end_ms, zone).start_ms == found.end_ms


@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        ("minute", "2026-03-29T01:02", "2026-03-29T01:03"),
        ("hour", "2026-03-29T01:00", "2026-03-29T02:00"),
        ("day", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("week", "2026-03-22T23:00", "2026-03-29T22:00"),
        ("month", "2026-02-28T23:00", "2026-03-31T22:00"),
    ],
)
def test_in_berlin_on_the_day_the_clocks_change(kind: WindowKind, start: str, end: str) -> None:
    found = window(kind, ms("2026-03-29T01:02:03"), "Europe/Berlin")
    assert (found.start_ms, found.end_ms) == (ms(start), ms(end))


def test_a_month_ends_when_it_ends_where_the_budget_lives() -> None:
    edge = ms("2026-02-01T00:00", "America/New_York")
    assert window("month", edge - 1, "America/New_York").resets_at == "2026-02-01T05:00:00Z"
    assert window("month", edge, "America/New_York").resets_at == "2026-03-01T05:00:00Z"


def test_a_clock_that_steps_back_finds_the_window_that_it_left() -> None:
    now = int(datetime(2026, 5, 1, 0, 0, 1, tzinfo=UTC).timestamp() * 1000)
    before = window("month", now - 5000)
    assert window("month", now) != before
    assert window("month", now - 5000) == before


def test_total_never_resets() -> None:
    assert window("total", 0).resets_at is None
    assert window("total", 0) == window("total", 2**45)
