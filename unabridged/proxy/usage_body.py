"""Reads the usage out of a whole answer that passes by, encoded or not."""

from __future__ import annotations

import json
import zlib
from typing import Any

from unabridged.proxy.answer_text import answer_texts
from unabridged.proxy.relay import Filter
from unabridged.proxy.usage import Used, used

LARGEST = 16 * 2**20
"""Bytes of an answer that are read; what is longer tells nothing."""


class UsageBody:
    """A Filter that lets a JSON answer through as it is, and reads it at the end."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._answer: Any = None
        self.complete = False
        """True once it was all there and was JSON."""

    def feed(self, piece: bytes) -> bytes:
        self._size += len(piece)
        if self._size <= LARGEST:
            self._pieces.append(piece)
        return piece

    def flush(self) -> bytes:
        if self._size <= LARGEST:
            try:
                self._answer = json.loads(b"".join(self._pieces))
                self.complete = True
            except (ValueError, RecursionError):
                self._answer = None
        self._pieces.clear()
        return b""

    @property
    def used(self) -> Used | None:
        """None if the answer does not tell."""
        return used(self._answer.get("usage")) if isinstance(self._answer, dict) else None

    @property
    def service_tier(self) -> Any:
        """As the answer says."""
        return self._answer.get("service_tier") if isinstance(self._answer, dict) else None

    @property
    def text(self) -> str:
        """What the answer says, to be counted if it tells no usage."""
        return "".join(answer_texts(self._answer))


class Decoded:
    """A Filter that lets an encoded answer through, and shows another one what it says."""

    def __init__(self, inner: Filter, encoding: str) -> None:
        """`encoding` is gzip or deflate; of another one nothing is shown."""
        self._inner = inner
        self._decoder = zlib.decompressobj(47) if encoding in ("gzip", "deflate") else None
        self._size = 0

    def feed(self, piece: bytes) -> bytes:
        if self._decoder is not None and self._size <= LARGEST:
            try:
                shown = self._decoder.decompress(piece, LARGEST)
                self._size += len(shown)
                self._inner.feed(shown)
            except zlib.error:
                self._decoder = None
        return piece

    def flush(self) -> bytes:
        self._inner.flush()
        return b""
