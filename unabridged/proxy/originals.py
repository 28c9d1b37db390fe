"""Originals of texts that were shortened for another gateway, for a while and in memory only."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

LARGEST = 64 * 2**20
"""Characters that are kept altogether; past it the oldest go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Original:
    tenant: str
    text: str
    until: float


class Originals:
    """The store holds no prompt text, so this stands in the memory of one process: it is gone
    with a restart, and another replica does not know it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Original] = OrderedDict()
        self._size = 0

    def keep(self, text: str, *, tenant: str, seconds: float) -> str:
        """The id that it can be fetched by: 128 random bits, so that none can be guessed."""
        name = secrets.token_hex(16)
        self._kept[name] = _Original(tenant=tenant, text=text, until=self._clock() + seconds)
        self._size += len(text)
        while self._size > LARGEST or self._over(next(iter(self._kept), None)):
            self._drop(next(iter(self._kept)))
        return name

    def get(self, name: str, *, tenant: str) -> str | None:
        """None: there is none, its time is over, or it is another tenant's."""
        if self._over(name):
            self._drop(name)
        found = self._kept.get(name)
        return found.text if found is not None and found.tenant == tenant else None

    def _over(self, name: str | None) -> bool:
        found = self._kept.get(name) if name is not None else None
        return found is not None and found.until <= self._clock()

    def _drop(self, name: str) -> None:
        self._size -= len(self._kept.pop(name).text)
