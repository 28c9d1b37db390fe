"""Who calls is told by a key of the file or a virtual one; without any key the proxy is open."""

from __future__ import annotations

from pathlib import Path

import pytest

from unabridged.proxy.callers import Callers, scopes
from unabridged.proxy.database import open_database
from unabridged.proxy.errors import BadKey, ModelNotAllowed
from unabridged.proxy.keys import Key, Keys
from unabridged.proxy.virtual_keys import KeyRing

NOW = 1_790_000_000_000
FILE = Keys({"f" * 32: Key(name="ops", team="core")})


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(open_database(f"sqlite:///{tmp_path}/l.db"), b"p" * 32)


def callers(file: Keys | None, ring: KeyRing) -> Callers:
    return Callers(file, ring, clock=lambda: NOW / 1000)


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def test_it_is_open_only_while_there_is_no_key_at_all(ring: KeyRing) -> None:
    found = callers(None, ring)
    assert found.open
    assert not callers(FILE, ring).open
    secret, _ = ring.create(name="ci", org="acme", now_ms=NOW)
    ring.refresh()
    assert not found.open
    assert found.caller(bearer(secret)).org == "acme"
    ring.revoke("ci", now_ms=NOW)
    ring.refresh()
    assert not found.open
    with pytest.raises(BadKey, match="not known, has expired or was revoked"):
        found.caller(bearer(secret))


def test_both_kinds_of_keys_are_accepted_side_by_side(ring: KeyRing) -> None:
    secret, _ = ring.create(
        name="ci", org="acme", team="research", user="alice", policy="fast", now_ms=NOW
    )
    ring.refresh()
    found = callers(FILE, ring)
    assert found.caller(bearer("f" * 32)) == Key(name="ops", team="core")
    key = found.caller({"x-api-key": secret})
    assert (key.name, key.team, key.user, key.policy) == ("ci", "research", "alice", "fast")
    assert key.tenant != found.caller(bearer("f" * 32)).tenant
    with pytest.raises(BadKey):
        found.caller(bearer("g" * 32))


def test_no_key_is_told_apart_from_a_wrong_one(ring: KeyRing) -> None:
    ring.create(name="ci", org="acme", now_ms=NOW)
    ring.refresh()
    with pytest.raises(BadKey, match="no key was given"):
        callers(None, ring).caller({})


def test_a_key_may_be_held_to_some_models() -> None:
    key = Key(name="ci", team=None, org="acme", models=("gpt-4o*",))
    assert scopes(key, route="", model="gpt-4o-mini").model == "gpt-4o-mini"
    with pytest.raises(ModelNotAllowed, match="key 'ci' may not ask model 'o3'"):
        scopes(key, route="", model="o3")


def test_names_that_no_database_takes_are_made_plain() -> None:
    found = scopes(None, route="r", model="a\0b\ud800" + "c" * 500)
    assert found.model is not None
    assert found.model.encode() and len(found.model) == 200
    assert "\0" not in found.model
    assert (found.org, found.team, found.route) == ("default", None, "r")
