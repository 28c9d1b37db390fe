"""The page at /ui: its files, and the JSON API that they ask, as page_answers.py promises it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from unabridged.proxy.admin import BadCall, Work, answered, body, routed
from unabridged.proxy.cache import StoreDown
from unabridged.proxy.errors import ForeignSite
from unabridged.proxy.page_access import NO_FIRST_KEY, PageAccess, TooManyTries, WrongKey
from unabridged.proxy.page_answers import Login
from unabridged.proxy.page_files import SECURITY, File, read_files, serve_file

ROOT = "/ui"
API = ROOT + "/api"


@dataclass(frozen=True, kw_only=True)
class Page:
    """An ASGI application for all paths under ROOT."""

    gate: PageAccess
    calls: Mapping[tuple[str, str], Work]
    """By method and path under API, for those who may use the page."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(API + "/"):
            await self._api(scope, receive, send)
        else:
            request = Request(scope, receive)
            files = self._files or await asyncio.to_thread(lambda: self._files)
            await serve_file(request, files)(scope, receive, send)

    @cached_property
    def _files(self) -> dict[str, File]:
        return read_files()

    @cached_property
    def _api(self) -> Router:
        doors: dict[tuple[str, str], Work] = {
            ("GET", "/session"): self._session,
            ("POST", "/login"): self._login,
            ("POST", "/logout"): self._logout,
        }
        open_to_all = routed(API, doors, self._at_the_door)
        inside = routed(API, {**self.calls}, self._guarded)
        inside.routes[:0] = open_to_all.routes
        return inside

    async def _at_the_door(self, work: Work, request: Request) -> Response:
        try:
            await asyncio.to_thread(self.gate.access, request)
            return _dressed(await answered(work, request))
        except ForeignSite as problem:
            return _refused(403, "foreign_site", str(problem))
        except WrongKey as problem:
            return _refused(401, "sign_in", str(problem))
        except TooManyTries as problem:
            return _refused(429, "too_many_tries", str(problem), {"retry-after": "60"})

    async def _guarded(self, work: Work, request: Request) -> Response:
        try:
            access = await asyncio.to_thread(self.gate.access, request)
        except ForeignSite as problem:
            return _refused(403, "foreign_site", str(problem))
        if access not in ("open", "signed_in"):
            return _refused(401, "sign_in", self.gate.session(access)["why"] or "sign in first")
        if access == "open" and (request.method, request.url.path) == ("POST", API + "/keys"):
            return _refused(409, "not_possible", NO_FIRST_KEY)
        try:
            return _dressed(await answered(work, request))
        except StoreDown as problem:
            return _refused(503, "store_down", f"the store does not answer ({problem})")

    async def _session(self, request: Request) -> object:
        return self.gate.session(await asyncio.to_thread(self.gate.access, request))

    async def _login(self, request: Request) -> Response:
        asked = await body(request, Login)
        value = self.gate.sign_in(asked.key)
        response = JSONResponse(self.gate.session("signed_in"))
        self.gate.set_cookie(request, response, value)
        return response

    async def _logout(self, request: Request) -> Response:
        try:
            await asyncio.to_thread(self.gate.sign_out, request)
        except StoreDown as problem:
            raise BadCall(
                f"the session could not be ended: the store is away ({problem})"
            ) from None
        closed = "sign_in" if self.gate.admin_key else "open"
        response = JSONResponse(self.gate.session(closed))
        self.gate.set_cookie(request, response, "")
        return response


def _dressed(response: Response) -> Response:
    response.headers.setdefault("cache-control", "no-store")
    for name, value in SECURITY.items():
        response.headers.setdefault(name, value)
    return response


def _refused(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    said = {"error": {"code": code, "message": message}}
    return _dressed(JSONResponse(said, status, headers=dict(headers or {})))
