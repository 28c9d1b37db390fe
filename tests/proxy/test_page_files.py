"""The page's files are served so that a browser runs nothing that is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.requests import Request

from unabridged.proxy.page_files import File, read_files, serve_file


@pytest.fixture
def files(tmp_path: Path) -> dict[str, File]:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "assets" / "app-1a2b.js").write_text("let a = 1;\n" * 500)
    (tmp_path / ".hidden").write_text("no")
    return read_files(tmp_path)


def ask(path: str, **headers: str) -> Request:
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": raw}
    return Request({**scope, "server": ("localhost", 80), "scheme": "http"})


@pytest.mark.parametrize("path", ["/ui", "/ui/", "/ui/requests/abc"])
def test_every_view_is_the_page_and_is_asked_for_anew(files: dict[str, File], path: str) -> None:
    answer = serve_file(ask(path), files)
    assert answer.body == b"<!doctype html>"
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_assets_are_kept_for_long_and_sent_compressed(files: dict[str, File]) -> None:
    plain = serve_file(ask("/ui/assets/app-1a2b.js"), files)
    assert "immutable" in plain.headers["cache-control"]
    assert plain.headers["content-type"].startswith("text/javascript")
    zipped = serve_file(ask("/ui/assets/app-1a2b.js", accept_encoding="gzip"), files)
    assert zipped.headers["content-encoding"] == "gzip"
    assert len(zipped.body) < len(plain.body)
    again = serve_file(ask("/ui/assets/app-1a2b.js", if_none_match=plain.headers["etag"]), files)
    assert (again.status_code, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/ui/assets/none.js", "/ui/assets/../index.html"])
def test_what_is_not_there_is_404(files: dict[str, File], path: str) -> None:
    assert serve_file(ask(path), files).status_code == 404


def test_an_installation_without_the_page_says_so(tmp_path: Path) -> None:
    assert serve_file(ask("/ui"), read_files(tmp_path)).status_code == 404
