"""Keys that callers present: made once, shown once, and kept only as a digest under a pepper."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from unabridged.proxy.database import insert_new, keys, snapshot, versions

SECRET_BYTES = 32
LONGEST_MS = 100 * 366 * 86_400_000
"""How long a key lives at most, if it is said at all."""
_KEY = re.compile(r"ub-([0-9a-f]{12})-([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


class BadKeyRequest(ValueError):
    """A key cannot be made or found as asked; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualKey:
    """A key, without the secret."""

    id: str
    """Public: the second part of the key, safe to show and to log."""
    name: str
    org: str
    team: str | None = None
    user: str | None = None
    policy: str | None = None
    """Policy that all requests with this key get; None: what the routes say."""
    models: tuple[str, ...] = ()
    """Globs of the models that may be asked; empty: all."""
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None
    """From when it is not accepted any more; may lie in the future, when it was rotated."""

    def valid(self, now_ms: int) -> bool:
        """True if it is accepted at an instant."""
        ends = (self.expires_ms, self.revoked_ms)
        return all(end is None or now_ms < end for end in ends)

    def may_ask(self, model: str) -> bool:
        """True if this key may use a model."""
        return not self.models or any(fnmatchcase(model, glob) for glob in self.models)

    def record(self) -> dict[str, Any]:
        """Plain data, as the admin API and `keys list --json` show it."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name in FIELDS
            for value in [getattr(self, name)]
        }


FIELDS = tuple(field.name for field in fields(VirtualKey))


def pepper(server_secret: bytes) -> bytes:
    """The pepper of keys, derived so that no other use of the secret can make a digest."""
    return hmac.digest(server_secret, b"unabridged virtual keys", hashlib.sha256)


class KeyRing:
    """All virtual keys. What is changed here is seen by every proxy at its next `refresh`."""

    def __init__(self, engine: Engine, pepper: bytes) -> None:
        self._engine = engine
        self._pepper = pepper
        self._version = -1
        self._known: Mapping[str, tuple[bytes, VirtualKey]] = {}
        self._nobody = secrets.token_bytes(32)

    def __len__(self) -> int:
        return len(self._known)

    def caller(self, presented: str, now_ms: int) -> VirtualKey | None:
        """Whose key this is; None if it is unknown, expired or revoked. Reads memory only, and
        takes as long for an unknown key as for a known one. A digest is not a key."""
        match = _KEY.fullmatch(presented)
        digest, key = self._known.get(match[1] if match else "", (self._nobody, None))
        right = hmac.compare_digest(self._digest(presented), digest)
        return key if right and key is not None and key.valid(now_ms) else None

    def refresh(self) -> bool:
        """Reads the keys anew if any was changed; True if so. From a thread."""
        with snapshot(self._engine) as connection:
            version = current_version(connection, "keys")
            if version == self._version:
                return False
            rows = connection.execute(sa.select(keys)).mappings()
            self._known = {row["id"]: (bytes(row["digest"]), _key(row)) for row in rows}
        self._version = version
        return True

    def create(
        self,
        *,
        name: str,
        org: str,
        now_ms: int,
        team: str | None = None,
        user: str | None = None,
        expires_ms: int | None = None,
        policy: str | None = None,
        models: Sequence[str] = (),
    ) -> tuple[str, VirtualKey]:
        """A new key and its record. The key itself is kept nowhere: show it now.

        Raises BadKeyRequest, if the name is taken by a valid key of the organisation, say.
        """
        for what, text in (("name", name), ("org", org), ("team", team), ("user", user)):
            if text is not None and not _NAME.fullmatch(text):
                raise BadKeyRequest(f"{what} must have 1 to 200 printable characters")
        if expires_ms is not None and expires_ms <= now_ms:
            raise BadKeyRequest("the key would have expired before it was made")
        if expires_ms is not None and expires_ms - now_ms > LONGEST_MS:
            raise BadKeyRequest("a key that expires does so within 100 years")
        key = VirtualKey(
            id=secrets.token_hex(6),
            name=name,
            org=org,
            team=team,
            user=user,
            policy=policy,
            models=tuple(models),
            created_ms=now_ms,
            expires_ms=expires_ms,
        )
        with self._engine.begin() as connection:
            for other in _named(connection, name, org):
                if other.valid(now_ms):
                    raise BadKeyRequest(f"a key named {name!r} exists in {org!r}: {other.id}")
            return self._add(connection, key), key

    def all(self, org: str | None = None) -> list[VirtualKey]:
        """Of one organisation, or of all; the newest first."""
        query = sa.select(keys).order_by(keys.c.created_ms.desc(), keys.c.id)
        if org is not None:
            query = query.where(keys.c.org == org)
        with snapshot(self._engine) as connection:
            return [_key(row) for row in connection.execute(query).mappings()]

    def revoke(self, which: str, *, now_ms: int, org: str | None = None) -> VirtualKey:
        """Ends a key, by its id or name. Raises BadKeyRequest."""
        with self._engine.begin() as connection:
            key = _find(connection, which, org, now_ms)
            self._end(connection, key, now_ms)
        return key

    def rotate(
        self, which: str, *, now_ms: int, grace_ms: int = 0, org: str | None = None
    ) -> tuple[str, VirtualKey]:
        """A new key with all that the old one has; the old one is accepted for `grace_ms` more, but
        not for longer than was said when it was rotated before.

        Raises BadKeyRequest.
        """
        if grace_ms > LONGEST_MS:
            raise BadKeyRequest("a key that was rotated is accepted for 100 years at most")
        with self._engine.begin() as connection:
            old = _find(connection, which, org, now_ms)
            new = replace(old, id=secrets.token_hex(6), created_ms=now_ms, revoked_ms=None)
            ends = now_ms + grace_ms
            self._end(connection, old, min(ends, old.revoked_ms or ends))
            return self._add(connection, new), new

    def _add(self, connection: Connection, key: VirtualKey) -> str:
        random = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=")
        secret = f"ub-{key.id}-{random.decode()}"
        record = {**key.record(), "models": json.dumps(key.models)}
        connection.execute(keys.insert(), {**record, "digest": self._digest(secret)})
        next_version(connection, "keys")
        return secret

    def _end(self, connection: Connection, key: VirtualKey, at_ms: int) -> None:
        change = keys.update().where(keys.c.id == key.id).values(revoked_ms=at_ms)
        connection.execute(change)
        next_version(connection, "keys")

    def _digest(self, secret: str) -> bytes:
        return hmac.digest(self._pepper, secret.encode("utf-8", "surrogatepass"), hashlib.sha256)


def current_version(connection: Connection, what: str) -> int:
    """How often something was changed."""
    query = sa.select(versions.c.version).where(versions.c.what == what)
    return int(connection.execute(query).scalar() or 0)


def next_version(connection: Connection, what: str) -> None:
    """Says that something was changed, to all who look."""
    connection.execute(insert_new(versions, connection), {"what": what, "version": 0})
    change = versions.update().where(versions.c.what == what)
    connection.execute(change.values(version=versions.c.version + 1))


def _named(connection: Connection, name: str, org: str | None) -> list[VirtualKey]:
    query = sa.select(keys).where(keys.c.name == name)
    if org is not None:
        query = query.where(keys.c.org == org)
    return [_key(row) for row in connection.execute(query).mappings()]


def _find(connection: Connection, which: str, org: str | None, now_ms: int) -> VirtualKey:
    row = connection.execute(sa.select(keys).where(keys.c.id == which)).mappings().first()
    found = [_key(row)] if row else _named(connection, which, org)
    valid = [key for key in found if key.valid(now_ms) and org in (None, key.org)]
    if not valid:
        raise BadKeyRequest(f"no valid key has the id or name {which[:60]!r}")
    if len(valid) > 1:
        ids = ", ".join(key.id for key in valid)
        raise BadKeyRequest(f"several keys are named {which[:60]!r}; say which id: {ids}")
    return valid[0]


def _key(row: Any) -> VirtualKey:
    values = {name: row[name] for name in FIELDS}
    return VirtualKey(**{**values, "models": tuple(json.loads(values["models"]))})
