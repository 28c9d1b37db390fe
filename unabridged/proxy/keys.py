"""The keys that callers present: a file of names, teams and secrets, compared without leaks."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from unabridged.proxy.errors import BadKey

LOOPBACK = "loopback"
"""The tenant of callers without a key."""
SHORTEST_SECRET = 32
_PLACES = ("api-key", "x-api-key")


class BadKeyFile(Exception):
    """The key file cannot be used; the text names file, line and reason, never a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Who is calling."""

    name: str
    team: str | None
    org: str = "default"
    user: str | None = None
    policy: str | None = None
    """Policy of all requests with this key; None: what the routes say."""
    models: tuple[str, ...] = ()
    """Globs of the models that may be asked; empty: all."""

    @property
    def tenant(self) -> str:
        """Whose cached contexts are shared: such as acme/research."""
        return tenant_name(self.org, self.team or "")


def tenant_name(org: str, team: str | None) -> str:
    """Of a team, such as acme/research; without a team, of a whole organisation: acme/*."""
    return f"{quote(org, safe='')}/{'*' if team is None else quote(team, safe='')}"


class Keys:
    """Known keys. Only their HMACs under a pepper of this process are kept in memory."""

    def __init__(self, known: dict[str, Key]) -> None:
        """`known` maps secrets to keys."""
        self._pepper = os.urandom(32)
        self._known = [(self._digest(secret), key) for secret, key in known.items()]

    def __len__(self) -> int:
        return len(self._known)

    def caller(self, headers: dict[str, str]) -> Key:
        """The key in `Authorization: Bearer`, `api-key` or `x-api-key` (lower-case names).

        Raises BadKey. Takes as long for a wrong key as for a right one.
        """
        presented = presented_key(headers)
        if not presented:
            raise BadKey("no key was given: send it as 'Authorization: Bearer KEY'")
        digest = self._digest(presented)
        found: Key | None = None
        for known, key in self._known:
            if hmac.compare_digest(known, digest):
                found = key
        if found is None:
            raise BadKey("this key is not known; the operator's key file lists the keys")
        return found

    def _digest(self, secret: str) -> bytes:
        return hmac.digest(self._pepper, secret.encode("utf-8", "surrogateescape"), hashlib.sha256)


def load_keys(path: Path) -> Keys:
    """Reads a key file: one key a line, `NAME TEAM SECRET` with white space between; a line
    that starts with # is a comment. A secret has at least 32 characters, such as
    `python -c "import secrets; print(secrets.token_urlsafe(32))"` prints.

    Raises BadKeyFile if a line is wrong or the file can be read by every user of the machine.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadKeyFile(f"{path}: the key file cannot be read: {_said(error)}") from None
    if mode & stat.S_IROTH:
        raise BadKeyFile(f"{path} can be read by every user: run `chmod 600 {path}`")
    known: dict[str, Key] = {}
    names: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 3:
            raise BadKeyFile(f"{path}:{number}: a line is NAME TEAM SECRET, not {len(words)} words")
        name, team, secret = words
        if len(secret) < SHORTEST_SECRET:
            raise BadKeyFile(
                f"{path}:{number}: the secret of {name!r} has {len(secret)} characters;"
                f" it needs at least {SHORTEST_SECRET}"
            )
        if name in names or secret in known:
            raise BadKeyFile(f"{path}:{number}: the name or the secret of {name!r} stands twice")
        names.add(name)
        known[secret] = Key(name=name, team=team)
    if not known:
        raise BadKeyFile(f"{path} holds no key; a line is NAME TEAM SECRET")
    return Keys(known)


def presented_key(headers: dict[str, str]) -> str:
    """The key among the headers (lower-case names); empty if there is none."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    return next((headers[place].strip() for place in _PLACES if headers.get(place)), "")


def _said(error: Exception) -> str:
    return (error.strerror or "unreadable") if isinstance(error, OSError) else "not UTF-8 text"
