"""A classifier for tests: a word is worth what a table says, or else how long it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from unabridged.compression.classifier import ENDS, Judged, halves
from unabridged.compression.sentences import words


class Judging:
    """Knows English alone, counts what it was asked to judge, and reads the question if told to:
    a sentence answers it as far as it holds its words."""

    def __init__(
        self, worth: Mapping[str, float] | None = None, *, asks: bool = False, name: str = "judging"
    ) -> None:
        self.worth = dict(worth or {})
        self.judged: list[str] = []
        self.asked: list[str] = []
        self._asks = asks
        self._name = name

    @property
    def revision(self) -> str:
        return self._name

    @property
    def asks(self) -> bool:
        return self._asks

    def reads(self, text: str) -> bool:
        return text.isascii()

    def judge(
        self,
        texts: Sequence[str],
        questions: Sequence[str] = (),
        *,
        ends: Sequence[str] = ENDS,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> list[Judged]:
        checkpoint()
        self.judged += texts
        self.asked += questions
        asked = bool(questions) and self._asks
        found = []
        for i, text in enumerate(texts):
            spans = [(a, b) for a, b in words(text) if text[a:b].strip()]
            own = [text[a:b].strip() for a, b in spans]
            keep = [self.worth.get(word, min(len(word), 20) / 40) for word in own]
            shared = set(own) & set(questions[i].split()) if asked else set()
            relevance = float(np.float16(len(shared) / 10))
            found.append(
                Judged(
                    spans=np.array(spans, dtype=np.int32).reshape(-1, 2),
                    keep=halves(np.array(keep, dtype=np.float32)),
                    sentence=np.full(len(own), relevance, np.float32) if asked else None,
                    relevance=relevance if asked else None,
                )
            )
        return found
