"""Remembers what an encoder made of passages, so that the next question over them costs little."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from unabridged.compression.encoder import Encoded, Encoder, Vectors
from unabridged.compression.once import Store, once
from unabridged.compression.prompt import Span


class CachedEncoder:
    """An Encoder in front of another one. Vectors are kept in half precision, which is what
    encoders give, so a hit changes no ranking."""

    def __init__(self, encoder: Encoder, store: Store, *, seconds: int = 3600) -> None:
        self._encoder = encoder
        self._store = store
        self._seconds = seconds

    @property
    def revision(self) -> str:
        return self._encoder.revision

    def reads(self, text: str) -> bool:
        return self._encoder.reads(text)

    def question(self, text: str) -> Vectors:
        """Not kept: a question is short and seldom asked twice."""
        return self._encoder.question(text)

    def passages(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> list[Encoded]:
        """As the encoder's own; only the texts that are not in the store are read."""
        if not texts:
            return []
        keys = [self._key(text, inside) for text, inside in zip(texts, spans, strict=True)]

        def compute(missing: list[int]) -> list[bytes]:
            some, inside = [texts[i] for i in missing], [spans[i] for i in missing]
            return [_pack(encoded) for encoded in self._encoder.passages(some, inside, checkpoint)]

        return once(
            self._store,
            keys,
            compute,
            lambda i, value: _unpack(value, len(spans[i])),
            seconds=self._seconds,
            checkpoint=checkpoint,
        )

    def _key(self, text: str, spans: Sequence[Span]) -> str:
        digest = hashlib.blake2b(self.revision.encode(), digest_size=24)
        digest.update(np.array(spans, dtype=np.int64).tobytes())
        digest.update(b"|" + text.encode("utf-8", "surrogatepass"))
        return f"vectors:{digest.hexdigest()}"


def _pack(encoded: Encoded) -> bytes:
    return np.vstack([encoded.whole[None], encoded.spans]).astype(np.float16).tobytes()


def _unpack(value: bytes, spans: int) -> Encoded | None:
    """None if what was stored does not fit: then the text is read again."""
    halves = np.frombuffer(value, dtype=np.float16)
    if halves.size == 0 or halves.size % (spans + 1):
        return None
    table = halves.reshape(spans + 1, -1).astype(np.float32)
    return Encoded(whole=table[0], spans=table[1:])
