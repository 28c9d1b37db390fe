"""A key is shown once; what is kept of it opens nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from unabridged.proxy.database import keys, metadata, open_database
from unabridged.proxy.virtual_keys import BadKeyRequest, KeyRing, pepper

NOW = 1_790_000_000_000
SECRET = b"s" * 32


def ring_on(database: str, secret: bytes = SECRET) -> KeyRing:
    return KeyRing(open_database(database), pepper(secret))


@pytest.fixture
def ring(database: str) -> KeyRing:
    return ring_on(database)


def make(ring: KeyRing, **more: Any) -> tuple[str, Any]:
    made = ring.create(**{"name": "ci", "org": "acme", "now_ms": NOW, **more})
    ring.refresh()
    return made


def test_a_new_key_is_known_with_all_that_belongs_to_it(ring: KeyRing) -> None:
    secret, key = make(ring, team="research", user="alice", policy="fast", models=["gpt-*"])
    assert ring.caller(secret, NOW) == key
    assert (key.org, key.team, key.user, key.policy) == ("acme", "research", "alice", "fast")
    assert key.may_ask("gpt-4o")
    assert not key.may_ask("claude")


def test_a_key_has_256_random_bits_behind_a_public_prefix(ring: KeyRing) -> None:
    secret, key = make(ring)
    assert secret.startswith(f"ub-{key.id}-")
    assert len(secret.removeprefix(f"ub-{key.id}-")) == 43  # base64 of 32 bytes
    assert len({make(ring, name=f"k{n}")[0] for n in range(50)}) == 50


def test_only_a_digest_under_the_pepper_is_stored(ring: KeyRing, database: str) -> None:
    secret, key = make(ring)
    random = secret[-20:]
    with open_database(database).connect() as connection:
        stored = repr(
            [
                tuple(row)
                for t in metadata.tables.values()
                for row in connection.execute(sa.select(t))
            ]
        )
        digest = connection.execute(sa.select(keys.c.digest)).scalar()
    assert digest == hmac.digest(pepper(SECRET), secret.encode(), hashlib.sha256)
    plain = hashlib.sha256(secret.encode())
    for known in (random, plain.hexdigest(), repr(plain.digest())):
        assert known not in stored
    if database.startswith("sqlite"):
        path = database.removeprefix("sqlite:///")
        written = Path(path).read_bytes() + Path(f"{path}-wal").read_bytes()
        assert random.encode() not in written
    assert random not in repr(key)


def test_the_digest_itself_is_not_a_key(ring: KeyRing, database: str) -> None:
    """LiteLLM GHSA-69x8: whoever read the database could present what it holds."""
    _, key = make(ring)
    with open_database(database).connect() as connection:
        digest: bytes = connection.execute(sa.select(keys.c.digest)).scalar_one()
    text = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    for presented in (digest.hex(), text, f"ub-{key.id}-{text}", f"ub-{key.id}-{digest.hex()}"):
        assert ring.caller(presented, NOW) is None


def test_a_database_is_worth_nothing_with_another_pepper(ring: KeyRing, database: str) -> None:
    secret, _ = make(ring)
    other = ring_on(database, b"t" * 32)
    other.refresh()
    assert other.caller(secret, NOW) is None


@pytest.mark.parametrize(
    "presented", ["", "x", "ub-", "ub-000000000000-" + "A" * 43, "\udc80", "키"]
)
def test_what_is_no_key_opens_nothing(ring: KeyRing, presented: str) -> None:
    make(ring)
    assert ring.caller(presented, NOW) is None


def test_a_key_ends_when_it_expires_or_is_revoked(ring: KeyRing) -> None:
    secret, _ = make(ring, expires_ms=NOW + 1000)
    assert ring.caller(secret, NOW + 999)
    assert ring.caller(secret, NOW + 1000) is None
    other, key = make(ring, name="other")
    ring.revoke("other", now_ms=NOW)
    ring.refresh()
    assert ring.caller(other, NOW) is None
    with pytest.raises(BadKeyRequest, match="no valid key"):
        ring.revoke(key.id, now_ms=NOW)


def test_a_rotated_key_is_replaced_and_the_old_one_fades(ring: KeyRing) -> None:
    old, before = make(ring, team="research", models=["gpt-*"])
    new, after = ring.rotate("ci", now_ms=NOW, grace_ms=1000)
    ring.refresh()
    assert (after.name, after.team, after.models) == ("ci", "research", ("gpt-*",))
    assert after.id != before.id
    assert ring.caller(new, NOW) == after
    assert ring.caller(old, NOW + 999)
    assert ring.caller(old, NOW + 1000) is None


def test_a_key_that_fades_already_fades_no_later_when_it_is_rotated_again(ring: KeyRing) -> None:
    old, before = make(ring)
    ring.rotate("ci", now_ms=NOW, grace_ms=1000)
    ring.rotate(before.id, now_ms=NOW, grace_ms=500_000)
    ring.refresh()
    assert ring.caller(old, NOW + 999)
    assert ring.caller(old, NOW + 1000) is None


def test_no_key_lives_for_longer_than_a_calendar_can_tell(ring: KeyRing) -> None:
    with pytest.raises(BadKeyRequest, match="100 years"):
        make(ring, expires_ms=NOW + 10**15)
    make(ring)
    with pytest.raises(BadKeyRequest, match="100 years"):
        ring.rotate("ci", now_ms=NOW, grace_ms=10**25)


def test_every_proxy_sees_a_change_at_its_next_look(ring: KeyRing, database: str) -> None:
    replica = ring_on(database)
    replica.refresh()
    secret, key = make(ring)
    assert replica.caller(secret, NOW) is None
    assert replica.refresh()
    assert not replica.refresh()
    assert replica.caller(secret, NOW) == key
    ring.revoke(key.id, now_ms=NOW)
    replica.refresh()
    assert replica.caller(secret, NOW) is None


def test_a_name_is_taken_once_in_an_organisation(ring: KeyRing) -> None:
    make(ring)
    with pytest.raises(BadKeyRequest, match="exists in 'acme'"):
        make(ring)
    make(ring, org="other")
    with pytest.raises(BadKeyRequest, match="several keys are named 'ci'"):
        ring.revoke("ci", now_ms=NOW)
    ring.revoke("ci", now_ms=NOW, org="other")
    assert [key.name for key in ring.all("acme")] == ["ci"]
    assert len(ring.all()) == 2


@pytest.mark.parametrize("bad", [{"name": ""}, {"name": "a\nb"}, {"org": "x" * 201}])
def test_a_name_is_printable_and_short(ring: KeyRing, bad: dict[str, str]) -> None:
    with pytest.raises(BadKeyRequest, match="200 printable"):
        make(ring, **bad)


def test_a_key_that_has_expired_already_is_not_made(ring: KeyRing) -> None:
    with pytest.raises(BadKeyRequest, match="expired before"):
        make(ring, expires_ms=NOW)


def test_a_record_has_no_secret(ring: KeyRing) -> None:
    _, key = make(ring, models=["a"])
    assert key.record()["models"] == ["a"]
    assert "digest" not in key.record()
