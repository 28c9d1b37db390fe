"""The pictures in docs/dashboard.md; taken into docs/ by `make pictures`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from world import BRIDGES, HARBOUR_PROMPT, World

DOCS = Path(__file__).parents[2] / "docs"
SMALL = 350_000
"""Bytes of a picture."""


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., None]:
    """Takes a picture of a page, up to a height, and checks that the docs show one of that name."""
    folder = Path(os.environ.get("PICTURES", tmp_path))

    def take(page: Any, name: str, height: int = 1200, part: Any = None) -> None:
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(400)
        size = page.viewport_size
        whole = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": size["width"], "height": min(height, whole)})
        page.wait_for_timeout(300)
        file = folder / f"dashboard-{name}.png"
        (part or page).screenshot(path=file)
        assert 5_000 < file.stat().st_size < SMALL
        assert f"dashboard-{name}.png" in (DOCS / "dashboard.md").read_text("utf-8")
        assert (DOCS / f"dashboard-{name}.png").is_file()

    return take


def test_overview(visit: Callable[..., Any], take: Callable[..., None]) -> None:
    page = visit("#/overview?window=hour")
    page.locator(".chart canvas").nth(1).wait_for()
    take(page, "overview", 1500)


def test_requests(visit: Callable[..., Any], take: Callable[..., None]) -> None:
    page = visit("#/requests")
    page.get_by_test_id("requests").wait_for()
    take(page, "requests", 860)


def test_request(visit: Callable[..., Any], take: Callable[..., None]) -> None:
    page = visit("#/requests?route=names")
    page.get_by_test_id("requests").get_by_role("link").first.click()
    page.locator(".answer").first.wait_for()
    take(page, "request", 1500)


def test_playground(visit: Callable[..., Any], take: Callable[..., None]) -> None:
    page = visit("#/playground")
    page.get_by_label("A prompt, or the JSON").fill(BRIDGES)
    page.get_by_label("Priced as").fill("gpt-4o")
    page.get_by_label("Compare two settings").check()
    page.get_by_label("Compressor").nth(0).select_option("llmlingua")
    page.get_by_label("Compressor").nth(1).select_option("extractive")
    page.get_by_role("button", name="Compress", exact=True).click()
    for index in range(2):
        page.get_by_test_id(f"trial-{index}").locator(".segment").first.wait_for(timeout=60_000)
    take(page, "playground", 1500)


def test_policies(visit: Callable[..., Any], take: Callable[..., None]) -> None:
    page = visit("#/policies")
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": HARBOUR_PROMPT}]}
    page.get_by_label("Body of the request").fill(json.dumps(body))
    page.get_by_role("button", name="Explain", exact=True).click()
    page.get_by_test_id("explained").wait_for()
    page.get_by_role("button", name="Dry run", exact=True).click()
    page.get_by_test_id("dryrun").wait_for(timeout=60_000)
    take(page, "policies", 1300)
    take(page, "dryrun", part=page.locator("section", has=page.locator("#dryrun")))


def test_keys(visit: Callable[..., Any], served: World, take: Callable[..., None]) -> None:
    page = visit("#/keys")
    page.get_by_test_id("keys").wait_for()
    take(page, "keys", 1000)


def test_phone(visit: Callable[..., Any], take: Callable[..., None]) -> None:
    page = visit("#/overview?window=hour", phone=True, dark=True, language="ko-KR")
    page.locator(".chart canvas").nth(1).wait_for()
    take(page, "phone", 900)
