"""Remembers how surprising each token of a text was, so that no text is scored twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from unabridged.compression.once import Store, once
from unabridged.compression.scorer import Scorer, TokenScores

TOKEN_BYTES = 10
"""Start and end in four bytes each, the score in two."""


class CachedScorer:
    """A Scorer in front of another one.

    Scores are kept in half precision under a keyed hash of revision, condition and text; no
    text is stored. What was just computed is rounded in the same way, so that a hit and a miss
    give the same bytes.
    """

    def __init__(
        self, scorer: Scorer, store: Store, *, secret: bytes = b"", seconds: int = 86_400
    ) -> None:
        """`secret`: up to 64 bytes; whoever shares the store shares it."""
        self._scorer = scorer
        self._store = store
        self._secret = secret[:64]
        self._seconds = seconds

    @property
    def revision(self) -> str:
        return f"{self._scorer.revision}-f16"

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        """As the scorer's own; only what is not in the store is scored."""
        if not texts:
            return []
        given = list(conditions) or [""] * len(texts)
        keys = [self._key(text, before) for text, before in zip(texts, given, strict=True)]

        def compute(missing: list[int]) -> list[bytes]:
            fresh = self._scorer.score(
                [texts[i] for i in missing], [given[i] for i in missing] if conditions else ()
            )
            return [_pack(scores) for scores in fresh]

        return once(
            self._store, keys, compute, lambda _, value: _unpack(value), seconds=self._seconds
        )

    def _key(self, text: str, condition: str) -> str:
        digest = hashlib.blake2b(self.revision.encode(), digest_size=24, key=self._secret)
        for part in (condition, text):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        return f"scores:{digest.hexdigest()}"


def _pack(tokens: TokenScores) -> bytes:
    return tokens.spans.astype("<i4").tobytes() + tokens.scores.astype("<f2").tobytes()


def _unpack(value: bytes) -> TokenScores | None:
    """None if what was stored is not ours: then the text is scored again."""
    count, rest = divmod(len(value), TOKEN_BYTES)
    if rest:
        return None
    return TokenScores(
        spans=np.frombuffer(value, "<i4", count=2 * count).reshape(-1, 2).astype(np.int32),
        scores=np.frombuffer(value, "<f2", offset=8 * count).astype(np.float32),
    )
