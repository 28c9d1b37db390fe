"""The files of the page: what they are served as, and what a browser may do with them."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

HOME = Path(__file__).parent / "page"
SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""Nothing from elsewhere, nothing inline, in no frame."""
_SMALL = 1024
"""Bytes below which compressing is not worth it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file, ready to be sent."""

    body: bytes
    zipped: bytes | None
    kind: str
    etag: str


def read_files(home: Path = HOME) -> dict[str, File]:
    """All files of the page by their path from `home`; none if the page was not built."""
    return {
        path.relative_to(home).as_posix(): _file(path)
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def serve_file(request: Request, files: Mapping[str, File]) -> Response:
    """`/ui/assets/NAME`, whose name changes with its content, or else the page itself, which
    finds its views by the path."""
    name = request.url.path.removeprefix("/ui").strip("/")
    asset = name.startswith("assets/")
    found = files.get(name if asset else "index.html")
    if found is None:
        said = "there is no such file" if asset else "this installation has no page"
        return Response(said, 404, headers=SECURITY, media_type="text/plain")
    headers = {
        **SECURITY,
        "etag": found.etag,
        "vary": "accept-encoding",
        "cache-control": "public, max-age=31536000, immutable" if asset else "no-cache",
    }
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    body = found.body
    if found.zipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["content-encoding"] = found.zipped, "gzip"
    return Response(body, headers=headers, media_type=found.kind)


def _file(path: Path) -> File:
    body = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    zipped = None
    if len(body) > _SMALL and (kind.startswith("text/") or "javascript" in kind or "json" in kind):
        zipped = gzip.compress(body, 6, mtime=0)
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    return File(body=body, zipped=zipped, kind=kind, etag=etag)
