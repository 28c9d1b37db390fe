"""Receipts are written once, listed newest first, opened, and forgotten when they are old."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from receipt_world import NOW, TEXT, book, detail, receipt, seen

from unabridged.proxy import receipt_book
from unabridged.proxy.cache import MemoryCache, StoreDown
from unabridged.proxy.database import receipt_details, receipts
from unabridged.proxy.receipt_book import BadPage

DAY = 86_400


class NoStore(MemoryCache):
    def get(self, keys):  # type: ignore[no-untyped-def]
        raise StoreDown("TimeoutError")

    def put(self, values, *, seconds):  # type: ignore[no-untyped-def]
        raise StoreDown("TimeoutError")


def test_a_receipt_that_comes_twice_is_written_once(database: str) -> None:
    pages = book(database)
    for _ in range(2):
        pages.write([(receipt(1), detail()), (receipt(2), detail())])
    assert [row["id"] for row in pages.page(wanted={})["requests"]] == ["r00002", "r00001"]


def test_pages_follow_each_other_also_where_times_are_equal(database: str) -> None:
    pages = book(database)
    pages.write([(receipt(n, at=NOW), detail()) for n in range(7)])
    found, before = [], None
    while True:
        page = pages.page(wanted={}, before=before, count=3)
        found += [row["id"] for row in page["requests"]]
        if (before := page["next"]) is None:
            break
    assert found == [f"r{n:05}" for n in range(6, -1, -1)]


def test_what_is_listed_can_be_filtered_by_names_and_nothing_else(database: str) -> None:
    pages = book(database)
    pages.write([(receipt(1, team="a"), detail()), (receipt(2, team="b"), detail())])
    assert [row["id"] for row in pages.page(wanted={"team": "a"})["requests"]] == ["r00001"]
    assert pages.page(wanted={})["facets"]["team"] == ["a", "b"]
    with pytest.raises(BadPage, match="unknown filter 'reason'"):
        pages.page(wanted={"reason": "x"})


def test_no_text_reaches_the_database_whatever_the_policy_says(database: str) -> None:
    pages = book(database)
    pages.write([(receipt(1), detail()), (receipt(2), detail(keep_seconds=60))])
    with pages.engine.connect() as connection:
        rows = [
            str(tuple(row))
            for table in (receipts, receipt_details)
            for row in connection.execute(sa.select(table))
        ]
    assert len(rows) == 4
    assert not any(word in row for row in rows for word in ("harbour", "Nobody", "wrote"))


def test_text_is_there_for_its_time_and_says_why_it_is_gone(database: str) -> None:
    now = [NOW]
    cache = MemoryCache(clock=lambda: now[0])
    pages = book(database, cache=cache, clock=lambda: now[0])
    pages.write([(receipt(1, at=NOW, policy="p"), detail(keep_seconds=60))])
    opened = pages.open("r00001")
    assert opened and opened["text"]
    assert "".join(s["text"] for s in opened["text"]["segments"]) == TEXT
    now[0] = NOW + 61
    opened = pages.open("r00001")
    assert opened and opened["text"] is None
    assert "time" in opened["why_no_text"]
    assert not opened["row"]["has_text"]


def test_without_a_store_receipts_are_written_and_no_text_is_kept(database: str) -> None:
    pages = book(database, cache=NoStore())
    pages.write([(receipt(1), detail(keep_seconds=60))])
    opened = pages.open("r00001")
    assert opened and opened["text"] is None and opened["segments"]


def test_old_receipts_are_forgotten(database: str) -> None:
    pages = book(database, days=2)
    pages.write([(receipt(1, at=NOW - 3 * DAY), detail()), (receipt(2), detail())])
    pages.sweep()
    assert [row["id"] for row in pages.page(wanted={})["requests"]] == ["r00002"]
    assert pages.open("r00001") is None


def test_a_long_prompt_lists_so_many_segments(database: str) -> None:
    pages = book(database)
    long = "\n\n".join(f"Document [{n}] Word {n}." for n in range(receipt_book.MOST_SEGMENTS + 9))
    own = detail()
    own.seen = seen(f"{long}\n\nQuestion: Which word?")
    pages.write([(receipt(1), own)])
    opened = pages.open("r00001")
    assert opened and len(opened["segments"]) == receipt_book.MOST_SEGMENTS
    assert opened["more_segments"] >= 9
    assert json.loads(json.dumps(opened)) is not None
