"""Keys and budgets are changed on the page, each change after a question."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2 as httpx
from world import World


def status(served: World, secret: str) -> int:
    said = httpx.post(
        f"{served.proxy.url}/chat/completions",
        json={"model": "other", "messages": [{"role": "user", "content": "Hello."}]},
        headers={"authorization": f"Bearer {secret}"},
    )
    return said.status_code


def test_a_key_is_shown_once_works_is_rotated_and_revoked(
    visit: Callable[..., Any], served: World
) -> None:
    page = visit("#/keys")
    page.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("dora")
    dialog.get_by_label("Team").fill("research")
    dialog.get_by_role("button", name="Create key").click()
    first = page.get_by_test_id("secret").inner_text()
    assert status(served, first) == 200
    dialog.get_by_role("button", name="I have saved it").click()
    row = page.get_by_test_id("keys").get_by_role("row").filter(has_text="dora")
    row.wait_for()
    assert first not in page.content()

    page.get_by_role("button", name="Rotate key dora").click()
    dialog.get_by_label("Hours").fill("0")
    dialog.get_by_role("button", name="Rotate").click()
    second = page.get_by_test_id("secret").inner_text()
    dialog.get_by_role("button", name="I have saved it").click()
    assert (status(served, first), status(served, second)) == (401, 200)

    page.get_by_role("button", name="Revoke key dora").click()
    dialog.get_by_role("button", name="Cancel").click()
    assert status(served, second) == 200, "nothing happens without a yes"
    page.get_by_role("button", name="Revoke key dora").click()
    dialog.get_by_role("button", name="Revoke").click()
    row.filter(has_text="revoked").first.wait_for()
    page.get_by_role("button", name="Revoke key dora").wait_for(state="detached")
    assert status(served, second) == 401


def test_a_budget_is_made_changed_and_ended(visit: Callable[..., Any], served: World) -> None:
    page = visit("#/keys")
    page.get_by_role("button", name="New budget").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("trial")
    dialog.get_by_label("Limit in dollars").fill("3.5")
    dialog.get_by_label("Team", exact=True).fill("trial")
    dialog.get_by_role("button", name="Add a step").click()
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_role("button", name="Create budget").click()
    budgets = page.get_by_test_id("budgets")
    budgets.get_by_role("row").filter(has_text="$3.50").wait_for()
    made = next(b for b in served.admin("GET", "budgets")["budgets"] if b["name"] == "trial")
    assert made["match"]["team"] == "trial" and set(made["at"]) == {"80%", "100%"}

    page.get_by_role("button", name="Change budget trial").click()
    dialog.get_by_label("Limit in dollars").fill("0.0005")
    dialog.get_by_role("button", name="Continue").click()
    assert "$3.50" in dialog.inner_text() and "$0.0005" in dialog.inner_text()
    dialog.get_by_role("button", name="Change").click()
    budgets.get_by_role("row").filter(has_text="$0.0005").wait_for()

    page.get_by_role("button", name="End budget trial").click()
    dialog.get_by_role("button", name="End").click()
    budgets.get_by_role("row").filter(has_text="trial").wait_for(state="detached")
    assert all(b["name"] != "trial" for b in served.admin("GET", "budgets")["budgets"])


def test_a_limit_that_cannot_be_is_named_in_the_dialog(visit: Callable[..., Any]) -> None:
    page = visit("#/keys")
    page.get_by_role("button", name="New budget").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("odd")
    dialog.get_by_label("Unit").select_option("requests")
    dialog.get_by_label("Limit", exact=True).fill("1000000000000000000000")
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_role("button", name="Create budget").click()
    assert "limit" in dialog.get_by_role("alert").inner_text()
