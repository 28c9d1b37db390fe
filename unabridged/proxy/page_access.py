"""Who may use the page: everybody on loopback while there are no keys, then the admin key alone.

The key is exchanged for a cookie that scripts cannot read and that no other site can make a
browser send; what changes something must also carry a header that other sites cannot set.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from unabridged import __version__
from unabridged.proxy.admin import bearer, same_key
from unabridged.proxy.cache import Cache, StoreDown
from unabridged.proxy.callers import Callers, foreign
from unabridged.proxy.errors import ForeignSite
from unabridged.proxy.page_answers import Session

COOKIE = "unabridged_page"
HEADER = "x-unabridged-page"
SESSION_SECONDS = 12 * 3600
MOST_FAILURES = 10
"""Wrong keys a minute, from anybody, before no key is looked at for the rest of it."""
ENDED = "unabridged:page-ended:"

NO_ADMIN_KEY = (
    "this proxy has keys, but no admin key: set the environment variable UNABRIDGED_ADMIN_KEY"
    " (money.admin_key_env in the configuration) and start it again"
)
NO_FIRST_KEY = (
    "with its first key the proxy asks every caller for one, and this page would be closed: set"
    " UNABRIDGED_ADMIN_KEY (money.admin_key_env) and start the proxy again first"
)


class TooManyTries(Exception):
    """Wrong keys were given too often."""


class WrongKey(Exception):
    """The key is not the admin key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAccess:
    """Put together at start-up. Sessions are signed, so every replica knows them; those that
    were ended are remembered in the store until they would have run out."""

    callers: Callers
    admin_key: str | None
    secret: bytes
    cache: Cache
    clock: Callable[[], float] = time.time
    _failures: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_FAILURES))

    def access(self, request: Request) -> Literal["open", "signed_in", "sign_in", "closed"]:
        """What this request may do. Raises ForeignSite. From a thread: may ask the store."""
        _same_site(request)
        if self.admin_key is None:
            if not self.callers.open:
                return "closed"
            if foreign(request.headers.get("host", "")):
                raise ForeignSite("without keys this page is served to localhost only")
            return "open"
        if same_key(bearer(request), self.admin_key):
            return "signed_in"
        return "signed_in" if self._valid(request.cookies.get(COOKIE, "")) else "sign_in"

    def session(self, access: str) -> Session:
        """What the page is told."""
        why = {"closed": NO_ADMIN_KEY, "open": NO_FIRST_KEY}.get(access, "")
        may = access == "signed_in"
        return Session(access=access, why=why, may_make_keys=may, version=__version__)  # type: ignore[typeddict-item]

    def sign_in(self, key: str) -> str:
        """The cookie's value for the admin key. Raises TooManyTries and WrongKey."""
        now = self.clock()
        if len(self._failures) == MOST_FAILURES and now - self._failures[0] < 60:
            raise TooManyTries("too many wrong keys; wait a minute")
        if self.admin_key is None or not same_key(key, self.admin_key):
            self._failures.append(now)
            raise WrongKey("this is not the admin key")
        said = f"{int(now) + SESSION_SECONDS}.{secrets.token_hex(16)}"
        return f"{said}.{self._mac(said)}"

    def sign_out(self, request: Request) -> None:
        """Ends the session of a request's cookie. From a thread. Raises StoreDown."""
        cookie = request.cookies.get(COOKIE, "")
        if self._valid(cookie):
            self.cache.put({self._ended(cookie): b"1"}, seconds=SESSION_SECONDS)

    def set_cookie(self, request: Request, response: Response, value: str) -> None:
        """`Secure` where the page is served over TLS, by us or by a proxy in front of us."""
        forwarded = request.headers.get("x-forwarded-proto", "")
        response.set_cookie(
            COOKIE,
            value,
            max_age=SESSION_SECONDS if value else 0,
            path="/ui",
            secure="https" in (request.url.scheme, forwarded),
            httponly=True,
            samesite="strict",
        )

    def _valid(self, cookie: str) -> bool:
        said, _, mac = cookie.rpartition(".")
        if not hmac.compare_digest(self._mac(said).encode(), mac.encode("utf-8", "replace")):
            return False
        if int(said.partition(".")[0]) < self.clock():
            return False
        try:
            return self.cache.get([self._ended(cookie)])[0] is None
        except StoreDown:
            return True

    def _ended(self, cookie: str) -> str:
        return ENDED + hashlib.sha256(cookie.encode()).hexdigest()

    def _mac(self, said: str) -> str:
        key = hashlib.sha256((self.admin_key or "").encode()).digest()
        text = b"page 1 " + key + said.encode("utf-8", "replace")
        return hmac.digest(self.secret, text, hashlib.sha256).hex()


def _same_site(request: Request) -> None:
    """Raises ForeignSite for what a page of another site makes a browser send."""
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    foreign = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    if foreign or (origin is not None and origin.partition("://")[2] != host):
        raise ForeignSite("pages of other sites may not use this one")
    if request.method not in ("GET", "HEAD") and not request.headers.get(HEADER):
        raise ForeignSite(f"a request that changes something needs the header {HEADER}: 1")
