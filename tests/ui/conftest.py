"""A real Chromium in front of a proxy that has served real traffic."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from world import ADMIN, World, traffic, world

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.ui)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.fail("no Chromium: `make ui-test` installs it, or name one in CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("state")) as made:
        traffic(made)
        yield made


@pytest.fixture
def visit(browser: Any, served: World) -> Iterator[Callable[..., Any]]:
    """Opens the page, signed in: visit("#/requests", dark=True, phone=True, language="ko-KR").
    At the end nothing may have gone wrong in it, and nothing may have come from elsewhere."""
    opened = []
    trouble: list[str] = []

    def open_page(
        hash: str = "",
        *,
        dark: bool = False,
        phone: bool = False,
        language: str = "en-US",
        signed_in: bool = True,
        root: str = "",
    ) -> Any:
        context = browser.new_context(
            viewport={"width": 360, "height": 740} if phone else {"width": 1280, "height": 860},
            color_scheme="dark" if dark else "light",
            locale=language,
        )
        opened.append(context)
        place = root or served.page
        if signed_in and not root:
            login = f"{place}/api/login"
            said = context.request.post(
                login, data={"key": ADMIN}, headers={"x-unabridged-page": "1"}
            )
            assert said.ok, said.text()
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: trouble.append(f"exception: {error}"))
        page.on("console", lambda said: trouble.append(said.text) if _bad(said) else None)
        page.on("request", lambda asked: trouble.append(asked.url) if _foreign(asked) else None)
        page.goto(f"{place}{hash and '/'}{hash}")
        return page

    def _bad(said: Any) -> bool:
        # A refusal that a view shows is no trouble; Chromium says so all the same.
        return said.type in ("error", "warning") and "Failed to load resource" not in said.text

    def _foreign(asked: Any) -> bool:
        return not asked.url.startswith(("http://127.0.0.1:", "http://localhost:", "blob:"))

    yield open_page
    for context in opened:
        context.close()
    assert trouble == []
