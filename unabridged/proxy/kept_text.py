"""The text of requests whose policy keeps it: encrypted in the store, and gone after its time."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import zlib
from dataclasses import dataclass
from typing import Any, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from unabridged.proxy.cache import Cache
from unabridged.proxy.detail import Detail, answers, kept_segments
from unabridged.proxy.page_answers import KeptText

KEY_PREFIX = "unabridged:text:"
LARGEST = 4 * 2**20
"""Bytes of one request's text, compressed, that are kept at most."""
_NONCE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTexts:
    """A store's reader learns neither text nor whose it is: names are HMACs, and each text is
    encrypted (AES-256-GCM) under a key of its own request and tenant."""

    cache: Cache
    secret: bytes
    """At least 32 bytes; replicas that share a store share it."""

    def keep(self, request_id: str, detail: Detail, *, until_ms: int) -> bool:
        """Puts away what was seen and heard. False: there was nothing, or too much. Raises
        StoreDown."""
        if not detail.keep_seconds or detail.seen is None:
            return False
        text = KeptText(
            until_ms=until_ms,
            segments=kept_segments(detail.seen.compressed),
            order=list(detail.seen.compressed.order),
            answers=answers(detail.heard, detail.edits) if detail.heard else [],
        )
        whole = {
            "text": text,
            "body": detail.seen.compressed.prompt.body,
            "may_train": detail.may_train,
        }
        plain = zlib.compress(json.dumps(whole).encode(), 3)
        if len(plain) > LARGEST:
            return False
        nonce = os.urandom(_NONCE)
        key = self._key("content", request_id, detail.tenant)
        sealed = nonce + AESGCM(key).encrypt(nonce, plain, None)
        name = self._name(request_id, detail.tenant)
        self.cache.put({name: sealed}, seconds=detail.keep_seconds)
        return True

    def get(self, request_id: str, tenant: str) -> KeptText | None:
        """None: none was kept, its time is over, or it is another tenant's. Raises StoreDown."""
        whole = self._whole(request_id, tenant)
        return cast(KeptText, whole["text"]) if whole else None

    def body(self, request_id: str, tenant: str) -> str | None:
        """The request's body as it came; None and StoreDown: as `get`."""
        whole = self._whole(request_id, tenant)
        return str(whole["body"]) if whole else None

    def to_learn_from(self, request_id: str, tenant: str) -> KeptText | None:
        """As `get`, and None if its policy did not allow it when the request came."""
        whole = self._whole(request_id, tenant)
        return cast(KeptText, whole["text"]) if whole and whole.get("may_train") else None

    def _whole(self, request_id: str, tenant: str) -> dict[str, Any] | None:
        sealed = self.cache.get([self._name(request_id, tenant)])[0]
        if sealed is None:
            return None
        key = self._key("content", request_id, tenant)
        try:
            plain = AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
        except InvalidTag:
            return None
        return cast(dict[str, Any], json.loads(zlib.decompress(plain)))

    def _name(self, request_id: str, tenant: str) -> str:
        return KEY_PREFIX + self._key("name", request_id, tenant).hex()

    def _key(self, purpose: str, request_id: str, tenant: str) -> bytes:
        said = json.dumps(["text 1", purpose, request_id, tenant]).encode()
        return hmac.digest(self.secret, said, hashlib.sha256)
