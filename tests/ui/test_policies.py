"""The configuration as it is understood, a pasted request explained, a changed policy tried."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from world import HARBOUR_PROMPT


def test_routes_stand_in_their_order_with_what_they_fit(visit: Callable[..., Any]) -> None:
    page = visit("#/policies")
    routes = page.get_by_test_id("routes")
    routes.wait_for()
    rows = routes.locator("tbody tr").all_inner_texts()
    assert [row.split()[0] for row in rows] == ["names", "hasty", "documents", "the"]
    assert "gpt-4o*" in rows[2] and "every request" in rows[3]


def test_a_policy_opens_to_its_settings(visit: Callable[..., Any]) -> None:
    page = visit("#/policies")
    policies = page.get_by_test_id("policies")
    policies.get_by_text("kept", exact=True).click()
    assert "keep_text_seconds: 3600" in policies.locator("details[open] pre").inner_text()
    policies.get_by_role("button", name="Show every setting").first.click()
    assert '"deadline_ms"' in policies.locator("details[open] pre").inner_text()


def test_a_pasted_request_is_explained_route_by_route(visit: Callable[..., Any]) -> None:
    page = visit("#/policies")
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": HARBOUR_PROMPT}]}
    page.get_by_label("Body of the request").fill(json.dumps(body))
    page.get_by_role("button", name="Explain", exact=True).click()
    explained = page.get_by_test_id("explained")
    explained.wait_for()
    rows = explained.locator("table").first.locator("tbody tr").all_inner_texts()
    assert "no" in rows[0] and "x-wish" in rows[0]
    assert "chosen" in rows[2] and "yes" in rows[2]
    assert explained.locator("del").count() > 0


def test_what_is_no_request_is_told(visit: Callable[..., Any]) -> None:
    page = visit("#/policies")
    page.get_by_label("Body of the request").fill("not JSON")
    page.get_by_role("button", name="Explain", exact=True).click()
    assert "JSON" in page.get_by_role("alert").inner_text()


def test_a_changed_policy_is_tried_on_the_last_requests(visit: Callable[..., Any]) -> None:
    page = visit("#/policies")
    page.get_by_label("Instead of").select_option("documents")
    yaml = page.get_by_label("Changed policy (YAML)")
    assert "extractive" in yaml.input_value()
    yaml.fill("compressor: extractive\nrate: 0.2\nmin_tokens: 0\n")
    page.get_by_role("button", name="Dry run", exact=True).click()
    found = page.get_by_test_id("dryrun")
    found.wait_for(timeout=60_000)
    said = found.inner_text()
    assert "As it was" in said and "With this policy" in said
    yaml.fill("rate: 7")
    page.get_by_role("button", name="Dry run", exact=True).click()
    assert "rate" in page.get_by_role("alert").inner_text()
