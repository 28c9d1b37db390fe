"""Kept text can be read by whom it belongs to, and tells a reader of the store nothing."""

from __future__ import annotations

import pytest
from receipt_world import TEXT, detail

from unabridged.proxy.cache import MemoryCache
from unabridged.proxy.detail import Heard
from unabridged.proxy.kept_text import KeptTexts


class Open(MemoryCache):
    """A store that its reader looks into."""

    seen: dict[str, bytes] = {}

    def put(self, values, *, seconds):  # type: ignore[no-untyped-def]
        self.seen = {**self.seen, **values}
        super().put(values, seconds=seconds)


def keep(cache: MemoryCache, secret: bytes = b"s" * 32) -> KeptTexts:
    texts = KeptTexts(cache=cache, secret=secret)
    heard = Heard("application/json")
    heard.feed(b'{"choices": [{"message": {"content": "The harbour master."}}]}')
    own = detail(keep_seconds=60, heard=heard)
    assert texts.keep("r1", own, until_ms=5)
    return texts


def test_what_was_kept_comes_back_whole() -> None:
    found = keep(MemoryCache()).get("r1", "org a team b")
    assert found is not None
    assert "".join(segment["text"] for segment in found["segments"]) == TEXT
    assert found["answers"][0]["came"] == found["answers"][0]["restored"] == "The harbour master."
    assert found["until_ms"] == 5


@pytest.mark.parametrize(("request_id", "tenant"), [("r2", "org a team b"), ("r1", "org a team c")])
def test_another_request_or_tenant_gets_nothing(request_id: str, tenant: str) -> None:
    assert keep(MemoryCache()).get(request_id, tenant) is None


def test_the_store_holds_neither_text_nor_names() -> None:
    cache = Open()
    keep(cache)
    (name, sealed), *rest = cache.seen.items()
    assert not rest
    assert b"harbour" not in sealed and "r1" not in name.removeprefix("unabridged:text:")[:2]


def test_under_another_secret_it_is_not_found_and_damage_is_noticed() -> None:
    cache = Open()
    texts = keep(cache)
    assert KeptTexts(cache=cache, secret=b"t" * 32).get("r1", "org a team b") is None
    name, sealed = next(iter(cache.seen.items()))
    cache.put({name: sealed[:-1] + bytes([sealed[-1] ^ 1])}, seconds=60)
    assert texts.get("r1", "org a team b") is None


def test_a_policy_that_keeps_nothing_puts_nothing_into_the_store() -> None:
    cache = Open()
    assert not KeptTexts(cache=cache, secret=b"s" * 32).keep("r1", detail(), until_ms=5)
    assert not cache.seen
