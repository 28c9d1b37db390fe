"""The list of requests, and what one shows when it is opened."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from world import BRIDGES, World, wait


def opened(visit: Callable[..., Any], route: str, **how: Any) -> Any:
    page = visit(f"#/requests?route={route}", **how)
    page.get_by_test_id("requests").get_by_role("link").first.click()
    page.get_by_test_id("segments").wait_for()
    return page


def test_every_receipt_is_listed_and_the_filters_narrow_the_list(
    visit: Callable[..., Any], served: World
) -> None:
    page = visit("#/requests")
    table = page.get_by_test_id("requests")
    table.wait_for()
    everything = table.get_by_role("row").count()
    page.get_by_label("Outcome").select_option("refused")
    wait(lambda: table.get_by_role("row").count() < everything, "nothing was filtered")
    outcomes = table.locator("tbody tr").all_inner_texts()
    assert outcomes and all("refused" in row for row in outcomes)
    page.get_by_label("Team").select_option("research")
    page.get_by_text("No request fits these filters").wait_for()
    page.get_by_role("link", name="Clear the filters").click()
    wait(lambda: table.get_by_role("row").count() >= everything, "the filters were not cleared")


def test_a_request_says_what_was_asked_of_each_segment_and_what_it_got(
    visit: Callable[..., Any], served: World
) -> None:
    page = opened(visit, "names")
    receipt = json.loads(page.locator("details pre").last.text_content())
    segments = page.get_by_test_id("segments")
    got = segments.locator("tbody tr td:nth-child(5)").all_inner_texts()
    kinds = segments.locator("tbody tr td:first-child").all_inner_texts()
    documents = sum(int(n) for n, kind in zip(got, kinds, strict=True) if kind == "document")
    assert documents == receipt["tokens_after"]["document"]


def test_cut_words_are_struck_through_and_what_was_kept_is_not(
    visit: Callable[..., Any], served: World
) -> None:
    page = opened(visit, "names")
    prompt = page.locator("section", has=page.locator("#prompt"))
    written = prompt.locator(".segment .text").all_text_contents()
    assert all(text in BRIDGES for text in written)
    assert prompt.locator("del").count() > 5
    sent = served.upstream.seen[-1]
    sent = next(s for s in served.upstream.seen if "Forth Bridge" in s.body.decode())
    content = sent.json["messages"][0]["content"]
    kept = prompt.locator(".segment .text").evaluate_all(
        "all => all.map(each => { const copy = each.cloneNode(true);"
        " copy.querySelectorAll('del').forEach(cut => cut.remove()); return copy.textContent })"
    )
    assert all(text.strip() in content for text in kept)


def test_a_restored_span_leads_to_where_it_came_from(visit: Callable[..., Any]) -> None:
    page = opened(visit, "names")
    restored = page.locator(".answer button.back").first
    words = restored.inner_text()
    restored.click()
    focused = page.evaluate("document.activeElement.id")
    assert focused.startswith("source-")
    segment = page.locator("article.segment", has=page.locator(f"#{focused}"))
    assert words in segment.locator(".text").text_content()
    page.get_by_role("button", name="As it came").click()
    assert page.locator(".answer button.back").count() == 0


def test_without_the_policys_leave_no_text_is_shown(visit: Callable[..., Any]) -> None:
    page = opened(visit, "documents")
    page.get_by_text("keep_text_seconds").first.wait_for()
    assert page.locator("#prompt").count() == 0
    assert "lighthouse" not in page.locator("main").inner_text()


def test_a_request_that_is_not_there_is_named(visit: Callable[..., Any]) -> None:
    page = visit("#/requests/no-such-request")
    page.get_by_role("alert").wait_for()
