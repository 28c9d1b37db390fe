"""Who is calling: a key of the operator's file, a virtual key, or nobody in particular."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

from unabridged.policies.budget import Scopes
from unabridged.proxy.errors import BadKey, ModelNotAllowed
from unabridged.proxy.keys import LOOPBACK, Key, Keys, presented_key, tenant_name
from unabridged.proxy.ledger import plain
from unabridged.proxy.virtual_keys import KeyRing

OPEN_ORG = "default"
"""The organisation of callers without a key."""


class Callers:
    """Put together at start-up. Keys that are made later count as soon as they are seen."""

    def __init__(
        self, file: Keys | None, ring: KeyRing, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._file = file
        self._ring = ring
        self._clock = clock

    @property
    def open(self) -> bool:
        """True while there is no key at all, neither in a file nor made at run time."""
        return self._file is None and not len(self._ring)

    def caller(self, headers: dict[str, str]) -> Key:
        """Raises BadKey."""
        found = self._ring.caller(presented_key(headers), int(self._clock() * 1000))
        if found is not None:
            return Key(
                name=found.name,
                team=found.team,
                org=found.org,
                user=found.user,
                policy=found.policy,
                models=found.models,
            )
        if self._file is not None:
            return self._file.caller(headers)
        if not presented_key(headers):
            raise BadKey("no key was given: send it as 'Authorization: Bearer KEY'")
        raise BadKey("this key is not known, has expired or was revoked")


def tenant(caller: Key | None) -> str:
    """Whose texts a request shares; nobody else meets them."""
    return caller.tenant if caller else LOOPBACK


def shelf_owner(caller: Key | None, share: Literal["team", "org"]) -> str:
    """Whose compressed contexts a caller sees: those of its team, or of its organisation."""
    if caller is None or share == "team":
        return tenant(caller)
    return tenant_name(caller.org, None)


def scopes(caller: Key | None, *, route: str, model: str, named: int = 1) -> Scopes:
    """Whom and what a request is charged to. `named`: how often it names its model; more than once,
    and the upstream may see another one. Raises ModelNotAllowed."""
    model = plain(model)
    if caller is None:
        return Scopes(org=OPEN_ORG, route=route or None, model=model or None)
    if caller.models and named > 1:
        raise ModelNotAllowed(
            f"key {caller.name!r} is held to some models, and this request names {named}: say one"
        )
    if caller.models and not any(fnmatchcase(model, glob) for glob in caller.models):
        allowed = ", ".join(caller.models)
        raise ModelNotAllowed(f"key {caller.name!r} may not ask model {model!r}; only: {allowed}")
    return Scopes(
        org=caller.org,
        team=caller.team,
        user=caller.user,
        key=caller.name,
        route=route or None,
        model=model or None,
    )


def host_of(url: str) -> str | None:
    """The host that a URL names; None: none that can be read."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def foreign(host: str) -> bool:
    """True if a `Host` header names another machine than this one. What cannot be read does; a
    request without any is no browser's."""
    return bool(host) and not loopback(host_of(f"//{host}"))


@lru_cache
def loopback(host: str | None) -> bool:
    """True if a host name means this machine."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
