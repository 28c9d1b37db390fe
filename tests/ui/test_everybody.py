"""The page is for everybody: by keyboard, by ear, in the dark, on a phone, in Korean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from world import HARBOUR_PROMPT

AXE = Path(__file__).parents[2] / "page/node_modules/axe-core/axe.min.js"
VIEWS = ("overview", "requests", "request", "playground", "policies", "keys", "login")


def show(visit: Callable[..., Any], view: str, **how: Any) -> Any:
    """A view with something in it."""
    if view == "login":
        page = visit("#/overview", signed_in=False, **how)
        page.locator("input[type=password]").wait_for()
    elif view == "request":
        page = visit("#/requests?route=names", **how)
        page.locator("tbody a").first.click()
        page.locator(".answer").first.wait_for()
    else:
        page = visit(f"#/{view}", **how)
        page.locator("main h1").wait_for()
        page.locator("main section, main form").first.wait_for()
    if view == "playground":
        page.locator("textarea").first.fill(HARBOUR_PROMPT)
        page.locator("select").first.select_option("extractive")
        page.locator("form button.main").first.click()
        page.locator(".segment").first.wait_for()
    return page


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_serious(visit: Callable[..., Any], view: str, dark: bool) -> None:
    page = show(visit, view, dark=dark)
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    grave = [
        (rule["id"], rule["help"], [node["html"][:200] for node in rule["nodes"]])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
    ]
    assert grave == []


@pytest.mark.parametrize("view", VIEWS)
def test_a_phone_needs_no_scrolling_sideways(visit: Callable[..., Any], view: str) -> None:
    for language in ("en-US", "ko-KR"):
        page = show(visit, view, phone=True, language=language)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_dialog_fits_on_a_phone(visit: Callable[..., Any]) -> None:
    page = visit("#/keys", phone=True)
    page.get_by_role("button", name="New budget").click()
    box = page.get_by_role("dialog").bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 360


def test_the_whole_page_can_be_walked_by_keyboard(visit: Callable[..., Any]) -> None:
    page = visit()
    page.get_by_test_id("totals").wait_for()
    press = page.keyboard.press

    def focused() -> str:
        return str(page.evaluate("document.activeElement.textContent"))

    press("Tab")
    assert focused() == "Skip to content"
    press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"

    def tab_to(name: str) -> None:
        for _ in range(60):
            press("Tab")
            if focused().strip() == name:
                return
        raise AssertionError(f"{name} cannot be reached by Tab")

    page.reload()
    tab_to("Requests")
    press("Enter")
    page.get_by_test_id("requests").wait_for()
    assert page.evaluate("document.activeElement.id") == "content", "read from the view's start"
    for _ in range(12):
        press("Tab")
        if page.evaluate("document.activeElement.closest('tbody') !== null"):
            break
    press("Enter")
    page.locator("#facts").wait_for()

    page.goto(page.url.partition("#")[0] + "#/keys")
    page.get_by_test_id("keys").wait_for()
    tab_to("New key")
    press("Enter")
    page.get_by_role("dialog").wait_for()
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert focused() == "New key", "the focus goes back where it was"


def test_every_place_of_the_focus_can_be_seen(visit: Callable[..., Any]) -> None:
    page = visit()
    page.get_by_test_id("totals").wait_for()
    for _ in range(15):
        page.keyboard.press("Tab")
        width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert width != "0px", page.evaluate("document.activeElement.outerHTML")


def test_a_korean_browser_gets_korean_and_can_have_english(visit: Callable[..., Any]) -> None:
    page = visit(language="ko-KR")
    page.get_by_role("heading", name="개요").wait_for()
    assert page.evaluate("document.documentElement.lang") == "ko"
    for tab in ("요청", "실험실", "정책", "키와 예산"):
        page.get_by_role("navigation").get_by_role("link", name=tab, exact=True).click()
        page.get_by_role("heading", level=1, name=tab).wait_for()
    page.get_by_role("button", name="English").click()
    page.get_by_role("heading", level=1, name="Keys and budgets").wait_for()
    page.reload()
    page.get_by_role("heading", level=1, name="Keys and budgets").wait_for()


def test_the_colours_follow_the_system_until_somebody_chooses(visit: Callable[..., Any]) -> None:
    page = visit(dark=True)
    page.get_by_test_id("totals").wait_for()
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light colours").click()
    light = page.evaluate(ground)
    assert dark != light
    page.reload()
    page.get_by_test_id("totals").wait_for()
    assert page.evaluate(ground) == light
