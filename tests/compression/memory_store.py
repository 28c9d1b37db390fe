"""A store in a dictionary, for the tests of what remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal


class MemoryStore:
    """Nobody else ever computes anything."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def take(self, keys: Sequence[str]) -> list[bytes | Literal["mine", "other"]]:
        return [self.values.get(key, "mine") for key in keys]

    def put(self, values: Mapping[str, bytes], *, seconds: int) -> None:
        assert seconds > 0
        self.values.update(values)

    def give_up(self, keys: Sequence[str]) -> None:
        pass

    def pause(self) -> None:
        raise AssertionError("there is nobody to wait for")
