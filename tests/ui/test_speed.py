"""The first view of a ledger of a hundred thousand requests."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from world import MONEY, POLICIES, ROUTES, FakeUpstream, config_for, serving

from unabridged.proxy.database import entries, open_database

ENTRIES = 100_000
ENOUGH_SECONDS = 1.0
MONTH_MS = 28 * 86_400_000


def fill(state: Path) -> None:
    """A month of requests."""
    chance, now_ms = random.Random(8), int(time.time() * 1000)
    engine = open_database(f"sqlite:///{state / 'ledger.db'}")
    with engine.begin() as connection:
        for start in range(0, ENTRIES, 10_000):
            connection.execute(
                sa.insert(entries), [row(n, now_ms, chance) for n in range(start, start + 10_000)]
            )
    engine.dispose()


def row(number: int, now_ms: int, chance: random.Random) -> dict[str, Any]:
    before = chance.randrange(300, 8000)
    after = int(before * chance.uniform(0.2, 1))
    known = {
        "id": f"{number:032x}", "at_ms": now_ms - chance.randrange(MONTH_MS), "org": "default",
        "team": chance.choice(("research", "support", None)), "user": "ada", "key": "ada",
        "route": chance.choice(("documents", "names")), "model": chance.choice(("a", "b", "c")),
        "policy": "documents", "upstream": "default", "sent_model": "a", "basis": "measured",
        "nano_usd": after * 150, "tokens_before": before, "tokens_after": after,
        "input_tokens": after, "cached_tokens": 0, "output_tokens": 100,
        "saved_nano_usd": (before - after) * 150,
    }  # fmt: skip
    return {column.name: "" if column.type.python_type is str else None
            for column in entries.columns} | known  # fmt: skip


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a proxy with such a ledger serves its page."""
    state = tmp_path_factory.mktemp("full")
    fill(state)
    with FakeUpstream() as upstream:
        config = config_for(upstream.url, policies=POLICIES, routes=ROUTES, money=MONEY)
        with serving(config, state, environment={}) as proxy:
            yield proxy.root + "/ui"


@pytest.mark.parametrize("window", ["day", "month"])
def test_the_first_view_comes_within_a_second(
    visit: Callable[..., Any], full: str, window: str
) -> None:
    seconds = []
    for _ in range(3):
        page = visit(f"#/overview?window={window}", root=full)
        page.locator("[data-figure=requests]").wait_for()
        seconds.append(page.evaluate("performance.now()") / 1000)
        if window == "month":
            assert page.locator("[data-figure=requests]").inner_text() == "100,000"
    # What else the machine does is not the page's: the quickest of three, and on a machine with
    # more to do than it can the share of it that the page had.
    crowd = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    print(f"first view, {window}: {min(seconds):.2f} s beside a load of {crowd:.1f} per core")
    assert min(seconds) < ENOUGH_SECONDS * crowd
