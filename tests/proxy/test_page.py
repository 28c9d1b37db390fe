"""/ui is served with what keeps a browser safe, and its API says what is wrong."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from conftest import Proxy
from page_client import GUARDED, KEY, client


def test_every_answer_carries_the_headers_that_keep_a_browser_safe(
    serve: Callable[..., Proxy],
) -> None:
    proxy = serve()
    for path in ("/ui", "/ui/api/session", "/ui/api/requests", "/ui/assets/none.js"):
        headers = httpx.get(proxy.root + path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
    assert httpx.get(proxy.root + "/ui/api/session").headers["cache-control"] == "no-store"


def test_keys_and_budgets_are_those_of_the_admin_api(serve: Callable[..., Proxy]) -> None:
    proxy = serve(environment=GUARDED)
    with client(proxy, KEY) as page:
        made = page.post("/keys", json={"name": "ci", "team": "research"})
        assert made.status_code == 200
        assert page.get("/keys").json()["keys"][0]["name"] == "ci"
        assert page.post("/keys", json={"name": "ci", "tem": 1}).status_code == 400
        assert page.post("/keys/ci/rotate", json={}).json()["secret"]
        assert page.delete("/keys/ci").status_code == 200
        budget = page.put("/budgets/b", json={"limit": 1, "window": "day"})
        assert budget.json()["budget"]["name"] == "b"
        assert page.get("/levels").json()["levels"][0]["budget"] == "b"
        assert page.delete("/budgets/b").status_code == 200
        assert page.delete("/budgets/b").json()["error"]["code"] == "unknown_budget"


def test_what_is_not_there_is_404_and_a_wrong_method_405(serve: Callable[..., Proxy]) -> None:
    proxy = serve()
    with client(proxy) as page:
        assert page.get("/nothing").status_code == 404
        assert page.delete("/overview").status_code == 405
