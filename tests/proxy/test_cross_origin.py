"""Pages of other sites may call where the configuration names them, and the upstream has no say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
from conftest import Proxy
from fake_upstream import FakeUpstream, answer

Serve = Callable[..., Proxy]
SECRET = "k" * 40
APP = "https://app.example"
ASKING = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization",
}


def test_pages_of_a_named_site_may_call_with_a_key(
    upstream: FakeUpstream, serve: Serve, tmp_path: Path
) -> None:
    """A browser asks first, without the key, and hides answers that do not allow the page."""
    keys_file = tmp_path / "keys"
    keys_file.write_text(f"ann red {SECRET}\n")
    keys_file.chmod(0o600)
    proxy = serve(server={"keys_file": str(keys_file), "allow_origins": [APP]})
    chat = proxy.url + "/chat/completions"
    asked = httpx.options(chat, headers={"origin": APP, **ASKING})
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == APP
    assert "authorization" in asked.headers["access-control-allow-headers"]
    assert httpx.options(chat, headers={"origin": "https://b.example", **ASKING}).status_code == 400
    assert upstream.seen == []
    for key, status in (("x" * 40, 401), (SECRET, 200)):
        headers = {"origin": APP, "authorization": f"Bearer {key}"}
        got = httpx.post(chat, json={"messages": []}, headers=headers)
        assert got.status_code == status
        assert got.headers["access-control-allow-origin"] == APP
    for page in ("/ui", "/metrics", "/healthz"):
        got = httpx.get(proxy.root + page, headers={"origin": APP})
        assert "access-control-allow-origin" not in got.headers


def test_where_sites_are_named_the_upstream_has_no_say_in_them(
    upstream: FakeUpstream, serve: Serve
) -> None:
    """Go servers and gateways write their headers in capitals; two origins are none."""
    theirs = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true")]
    upstream.reply(answer(b"{}", headers=theirs))
    proxy = serve(server={"allow_origins": [APP]})
    for path in ("/chat/completions", "/embeddings"):
        got = httpx.post(proxy.url + path, json={"messages": []}, headers={"origin": APP})
        assert got.headers.get_list("access-control-allow-origin") == [APP]
        assert "access-control-allow-credentials" not in got.headers
