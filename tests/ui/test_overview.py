"""The overview says what the ledger says."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from world import World, wait

from unabridged.proxy.database import entries


def rows(served: World) -> list[Any]:
    """The ledger, once every request that was sent is in it."""
    engine = sa.create_engine(served.ledger)

    def read() -> list[Any]:
        with engine.connect() as connection:
            return list(connection.execute(sa.select(entries)).mappings())

    # What the upstream refuses costs nothing and is no entry.
    sent = sum(1 for seen in served.upstream.seen if seen.json["model"] != "broken")
    return wait(lambda: found if len(found := read()) >= sent else None, "the ledger lags")


def number(page: Any, figure: str) -> float:
    """A figure of the page as a number: `$0.00213`, `−1,204`."""
    said = page.locator(f"[data-figure={figure}]").inner_text()
    return float(re.sub(r"[^0-9.-]", "", said.replace("−", "-")))


def test_the_totals_are_those_of_the_ledger(visit: Callable[..., Any], served: World) -> None:
    ledger = rows(served)
    page = visit()
    page.get_by_test_id("totals").wait_for()
    assert number(page, "requests") == len(ledger)
    saved = sum((r["tokens_before"] or 0) - (r["tokens_after"] or 0) for r in ledger)
    assert number(page, "tokens_saved") == saved > 0
    for figure in ("nano_usd", "saved_nano_usd"):
        total = sum(r[figure] or 0 for r in ledger) / 10**9
        assert total > 0
        # Three digits that count are shown.
        assert abs(number(page, figure) - total) <= abs(total) * 0.006, figure
    priced = [r["nano_usd"] for r in ledger if r["nano_usd"] is not None]
    said = page.get_by_test_id("totals").inner_text()
    medians = [float(each) for each in re.findall(r"median request \$([0-9.]+)", said)]
    assert abs(medians[1] - statistics.median(priced) / 10**9) < 1e-6


def test_each_team_has_the_row_that_the_ledger_has(
    visit: Callable[..., Any], served: World
) -> None:
    ledger = rows(served)
    page = visit("#/overview?by=team")
    table = page.get_by_test_id("groups")
    table.wait_for()
    for team in ("research", "support"):
        own = [r for r in ledger if r["team"] == team]
        cells = table.get_by_role("row").filter(has_text=team).get_by_role("cell").all_inner_texts()
        counted = [int(cell.replace(",", "")) for cell in cells[1:4]]
        assert counted == [
            len(own),
            sum(r["tokens_before"] or 0 for r in own),
            sum(r["tokens_after"] or 0 for r in own),
        ]


def test_what_failed_open_is_counted_with_its_reason(visit: Callable[..., Any]) -> None:
    page = visit()
    page.get_by_role("heading", name="Failed open").wait_for()
    shown = page.locator("section", has=page.locator("#failed-open")).inner_text()
    assert "deadline" in shown


def test_budgets_have_bars_and_say_how_full_they_are(
    visit: Callable[..., Any], served: World
) -> None:
    page = visit()
    levels = page.get_by_test_id("levels")
    levels.wait_for()
    said = levels.inner_text()
    spent = [r for r in rows(served) if r["team"] == "small"]
    assert re.search(rf"{len(spent)}\s+of 3", said), said
    assert "100% reached" in said and "requests" in said


def test_every_step_has_its_quantiles(visit: Callable[..., Any]) -> None:
    page = visit()
    table = page.get_by_test_id("steps")
    table.wait_for()
    said = table.inner_text()
    for step in ("all of ours", "split", "compress", "recover", "p50", "p95", "p99"):
        assert step in said


def test_a_request_appears_without_a_reload(visit: Callable[..., Any], served: World) -> None:
    page = visit()
    page.get_by_text("Live", exact=True).wait_for()
    before = number(page, "requests")
    page.evaluate("window.stillHere = true")
    served.ask("ben")
    page.wait_for_function(
        "(before) => Number(document.querySelector('[data-figure=requests]')"
        ".textContent.replace(/\\D/g, '')) > before",
        arg=before,
    )
    assert page.evaluate("window.stillHere") is True


def test_charts_can_be_had_by_window_and_by_what(visit: Callable[..., Any]) -> None:
    page = visit()
    for window in ("Hour", "Week", "Month", "Day"):
        page.get_by_role("button", name=window, exact=True).click()
        page.locator(".chart canvas").nth(1).wait_for()
    page.get_by_label("Group by").select_option("model")
    page.get_by_label("In the chart").select_option("nano_usd")
    page.get_by_role("heading", name="Money spent by model").wait_for()
    page.get_by_text("The numbers as a table").nth(1).click()
    assert "gpt-4o-mini" in page.locator("figure").nth(1).locator("table").inner_text()
