"""Only who holds the admin key sees the page of a proxy that has keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from world import ADMIN


def test_a_wrong_key_is_refused_in_words_and_the_right_one_opens_the_page(
    visit: Callable[..., Any],
) -> None:
    page = visit("#/keys", signed_in=False)
    page.get_by_label("Admin key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    assert "admin key" in page.get_by_role("alert").inner_text()
    page.get_by_label("Admin key").fill(ADMIN)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_test_id("keys").wait_for()
    assert page.evaluate("document.cookie") == ""
    stored = page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
    assert ADMIN not in stored
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Admin key").wait_for()
    page.reload()
    page.get_by_label("Admin key").wait_for()
