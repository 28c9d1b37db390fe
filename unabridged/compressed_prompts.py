"""What a program has compressed, ready for the answers it will get."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from unabridged.compression.prompt import Compressed
from unabridged.recovery.index import Index

MOST = 16
"""Prompts that are remembered; the one that was not used for the longest time goes first."""

PROBE = 40
"""Characters of a text by which it is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """One compressed prompt."""

    cut: tuple[str, ...]
    """The texts that were cut, as they were."""
    index: Index


@dataclass(slots=True)
class CompressedPrompts:
    """Indexes by the text of the compressed prompt. Safe to use from several threads."""

    _known: OrderedDict[str, Remembered] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, text: str, compressed: Compressed) -> None:
        """Remember a prompt that was compressed to `text`. Its index is built from the kept
        spans, here, so that no answer waits for it."""
        segments = compressed.prompt.segments
        cut = tuple(
            segment.text.strip()
            for segment, spans in zip(segments, compressed.kept, strict=True)
            if spans != ((0, len(segment.text)),)
        )
        self._put(text, Remembered(cut=cut, index=Index.build(compressed)))

    def index(self, original: str, text: str) -> Index:
        """The index of a prompt that was compressed to `text`: as it was remembered, if it was
        made of `original`, and else built from the two strings and remembered."""
        with self._lock:
            known = self._known.get(text)
        if known is None or not all(_holds(original, cut) for cut in known.cut):
            known = Remembered(cut=(original,), index=Index.of_texts(original, text))
        self._put(text, known)
        return known.index

    def _put(self, text: str, remembered: Remembered) -> None:
        with self._lock:
            self._known[text] = remembered
            self._known.move_to_end(text)
            while len(self._known) > MOST:
                self._known.popitem(last=False)


def _holds(text: str, part: str) -> bool:
    """`part in text`, for parts of thousands of characters: Python's own search reads all of a
    part before it begins."""
    at = text.find(part[:PROBE])
    while at >= 0 and not text.startswith(part, at):
        at = text.find(part[:PROBE], at + 1)
    return at >= 0
