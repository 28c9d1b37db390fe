"""Remembers for a while, in the process, what was made of a shortened prompt to restore answers."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from unabridged.compression.prompt import Compressed

MOST = 128
"""Indexes that are kept; the one that was not asked for the longest time goes first."""
MOST_SECONDS = 600
"""However long a policy keeps contexts: an index holds names and numbers of the prompt, and no
command that forgets a tenant reaches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """For whom an index is kept, and how long."""

    owner: str = ""
    """Nobody else is given it."""
    seconds: int = 0
    """0: it is not kept."""


NOT_KEPT = Keeping()


@dataclass(slots=True)
class Indexes:
    """Indexes by what they were made of. Safe to use from several threads."""

    clock: Callable[[], float] = time.monotonic
    _kept: OrderedDict[bytes, tuple[float, Any]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(
        self, compressed: Compressed, by_place: bool, build: Callable[[], Any], keeping: Keeping
    ) -> Any:
        """The index of a shortened prompt: kept, or built now."""
        if not keeping.seconds:
            return build()
        key, now = _key(compressed, by_place, keeping.owner), self.clock()
        with self._lock:
            for old in [old for old, (until, _) in self._kept.items() if until <= now]:
                del self._kept[old]
            known = self._kept.pop(key, None)
        until, index = known or (now + min(keeping.seconds, MOST_SECONDS), build())
        with self._lock:
            self._kept[key] = until, index
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return index


def _key(compressed: Compressed, by_place: bool, owner: str) -> bytes:
    """A digest of all that an index is made of, so that no text is kept to tell them apart."""
    said = f"{owner}\n{by_place} {compressed.order}"
    digest = hashlib.blake2b(said.encode(), digest_size=24)
    for segment, kept in zip(compressed.prompt.segments, compressed.kept, strict=True):
        text = segment.text.encode("utf-8", "surrogatepass")
        place = f"{segment.where.path} {segment.head} {segment.chained}"
        digest.update(f"\n{segment.kind} {place} {kept} {len(text)} ".encode() + text)
    return digest.digest()
