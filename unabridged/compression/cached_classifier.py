"""Remembers what a classifier made of texts: any later rate or budget needs no model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from unabridged.compression.classifier import ENDS, Classifier, Judged
from unabridged.compression.once import Store, once

_RELEVANCE = 2
_PLAIN, _ASKED = 10, 12
"""Bytes of a token: start and end in four each, each probability in two."""


class CachedClassifier:
    """A Classifier in front of another one.

    Probabilities are kept in half precision under a keyed hash of revision, question and text; no
    text is stored. Classifiers give half precision, so a hit changes nothing.
    """

    def __init__(
        self, classifier: Classifier, store: Store, *, secret: bytes = b"", seconds: int = 86_400
    ) -> None:
        """`secret`: up to 64 bytes; whoever shares the store shares it."""
        self._classifier = classifier
        self._store = store
        self._secret = secret[:64]
        self._seconds = seconds

    @property
    def revision(self) -> str:
        return self._classifier.revision

    @property
    def asks(self) -> bool:
        return self._classifier.asks

    def reads(self, text: str) -> bool:
        return self._classifier.reads(text)

    def judge(
        self,
        texts: Sequence[str],
        questions: Sequence[str] = (),
        *,
        ends: Sequence[str] = ENDS,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> list[Judged]:
        """As the classifier's own; only what is not in the store is judged."""
        if not texts:
            return []
        asked = bool(questions) and self.asks
        given = list(questions) if asked else [""] * len(texts)
        keys = [self._key(t, q, asked, ends) for t, q in zip(texts, given, strict=True)]

        def compute(missing: list[int]) -> list[bytes]:
            fresh = self._classifier.judge(
                [texts[i] for i in missing],
                [given[i] for i in missing] if asked else (),
                ends=ends,
                checkpoint=checkpoint,
            )
            return [_pack(judged) for judged in fresh]

        return once(
            self._store,
            keys,
            compute,
            lambda _, value: _unpack(value, asked),
            seconds=self._seconds,
            checkpoint=checkpoint,
        )

    def _key(self, text: str, question: str, asked: bool, ends: Sequence[str]) -> str:
        digest = hashlib.blake2b(self.revision.encode(), digest_size=24, key=self._secret)
        for part in (str(asked), question, text, *ends):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        return f"words:{digest.hexdigest()}"


def _pack(judged: Judged) -> bytes:
    said = judged.spans.astype("<i4").tobytes() + judged.keep.astype("<f2").tobytes()
    if judged.sentence is not None:
        said += judged.sentence.astype("<f2").tobytes()
        said += np.float16(judged.relevance).astype("<f2").tobytes()
    return said


def _unpack(value: bytes, asked: bool) -> Judged | None:
    """None if what was stored is not ours: then the text is judged again."""
    own = len(value) - _RELEVANCE if asked else len(value)
    count, rest = divmod(own, _ASKED if asked else _PLAIN)
    if rest or own < 0:
        return None
    spans = np.frombuffer(value, "<i4", count=2 * count).reshape(-1, 2).astype(np.int32)
    halves = np.frombuffer(value, "<f2", offset=8 * count).astype(np.float32)
    return Judged(
        spans=spans,
        keep=halves[:count],
        sentence=halves[count : 2 * count] if asked else None,
        relevance=float(halves[-1]) if asked else None,
    )
