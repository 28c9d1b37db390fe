"""The page is for whoever has the admin key, and for no other site's pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from conftest import Proxy
from page_client import GUARDED, KEY, client, shaped

from unabridged.proxy.cache import MemoryCache
from unabridged.proxy.page_access import COOKIE, MOST_FAILURES, SESSION_SECONDS, PageAccess


@pytest.fixture
def guarded(serve: Callable[..., Proxy]) -> Proxy:
    return serve(environment=GUARDED)


def test_without_keys_the_page_is_open_on_loopback(serve: Callable[..., Proxy]) -> None:
    with client(serve()) as page:
        session = shaped("Session", page.get("/session"))
        assert (session["access"], session["may_make_keys"]) == ("open", False)
        assert page.get("/keys").status_code == 200
        refused = page.post("/keys", json={"name": "ci"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_possible")


@pytest.mark.parametrize("host", ["evil.example", 'a"b.evil.example', "a{b.evil.example", "["])
def test_no_name_that_was_pointed_here_opens_the_page(
    serve: Callable[..., Proxy], host: str
) -> None:
    """Browsers allow more in a host's name than what makes a URL of it does."""
    with client(serve()) as page:
        refused = page.get("/session", headers={"host": host, "origin": f"http://{host}"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "foreign_site")


def test_keys_without_an_admin_key_close_the_page(serve: Callable[..., Proxy]) -> None:
    proxy = serve()
    proxy.app.callers._ring.create(name="ci", org="default", now_ms=1)
    proxy.app.callers._ring.refresh()
    with client(proxy) as page:
        session = shaped("Session", page.get("/session"))
        assert session["access"] == "closed"
        assert "UNABRIDGED_ADMIN_KEY" in session["why"]
        assert page.get("/overview").status_code == 401


def test_a_key_is_exchanged_for_a_cookie_that_ends(guarded: Proxy) -> None:
    with client(guarded) as page:
        assert shaped("Session", page.get("/session"))["access"] == "sign_in"
        assert page.get("/requests").status_code == 401
        assert page.post("/login", json={"key": "wrong"}).status_code == 401
        answer = page.post("/login", json={"key": KEY})
        assert shaped("Session", answer)["access"] == "signed_in"
        said = answer.headers["set-cookie"].lower()
        assert "httponly" in said and "samesite=strict" in said and "path=/ui" in said
        assert KEY not in said
        assert page.get("/requests").status_code == 200
        stolen = page.cookies[COOKIE]
        assert shaped("Session", page.post("/logout"))["access"] == "sign_in"
        assert page.get("/requests").status_code == 401
        # Whoever kept the cookie has nothing either.
        assert page.get("/requests", headers={"cookie": f"{COOKIE}={stolen}"}).status_code == 401


def test_programs_may_send_the_admin_key_itself(guarded: Proxy) -> None:
    with client(guarded, KEY) as page:
        assert page.get("/overview").status_code == 200
    with client(guarded, KEY + "x") as page:
        assert page.get("/overview").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"host": "evil.example"},
    ],
)
def test_other_sites_get_nothing(serve: Callable[..., Proxy], headers: dict[str, str]) -> None:
    proxy = serve()
    with client(proxy) as page:
        for path in ("/session", "/overview", "/keys"):
            assert page.get(path, headers=headers).status_code == 403
        assert page.put("/budgets/b", json={"limit": 1}, headers=headers).status_code == 403


def test_what_changes_something_needs_a_header_of_our_own(serve: Callable[..., Proxy]) -> None:
    proxy = serve()
    form = httpx.post(f"{proxy.root}/ui/api/logout", data={"a": "b"})
    assert form.status_code == 403
    with client(proxy) as page:
        assert page.put("/budgets/b", json={"limit": 1, "window": "day"}).status_code == 200


def gate(**fields: Any) -> PageAccess:
    return PageAccess(callers=None, admin_key=KEY, secret=b"s" * 32, cache=MemoryCache(), **fields)  # type: ignore[arg-type]


def test_a_cookie_runs_out_and_cannot_be_made_up() -> None:
    now = [1000.0]
    access = gate(clock=lambda: now[0])
    cookie = access.sign_in(KEY)
    assert access._valid(cookie)
    for made_up in ("", ".", "9999999999.x.y", cookie[:-1], "9" + cookie, cookie + "0", "é"):
        assert not access._valid(made_up)
    now[0] += SESSION_SECONDS + 1
    assert not access._valid(cookie)


def test_guessing_is_slowed_down() -> None:
    from unabridged.proxy.page_access import TooManyTries, WrongKey

    now = [1000.0]
    access = gate(clock=lambda: now[0])
    for _ in range(MOST_FAILURES):
        with pytest.raises(WrongKey):
            access.sign_in("x")
    with pytest.raises(TooManyTries):
        access.sign_in(KEY)
    now[0] += 61
    assert access.sign_in(KEY)
