"""Computes what is not remembered yet; of what many need at once, each thing once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

T = TypeVar("T")


class Unreadable(ValueError):
    """A value that was just computed is not one."""


class Store(Protocol):
    """Bytes by key, which several processes share."""

    def take(self, keys: Sequence[str]) -> list[bytes | Literal["mine", "other"]]:
        """For each key its value; mine: it is for the caller to compute, and then to `put` or
        to `give_up`; other: somebody else is computing it."""
        ...

    def put(self, values: Mapping[str, bytes], *, seconds: int) -> None:
        """Remembers values for so long."""
        ...

    def give_up(self, keys: Sequence[str]) -> None:
        """What was to be computed will not be: whoever waits for it may."""
        ...

    def pause(self) -> None:
        """Lets others go on for a moment."""
        ...


def once(
    store: Store,
    keys: Sequence[str],
    compute: Callable[[list[int]], Sequence[bytes]],
    read: Callable[[int, bytes], T | None],
    *,
    seconds: int,
    checkpoint: Callable[[], None] = lambda: None,
) -> list[T]:
    """What `read(i, value)` makes of the value of each key.

    `compute` gives the values of the keys with these indexes; what it gives is read back like
    what was remembered, so that a hit and a miss are the same. A value that `read` gives None
    for is damaged and computed again. `checkpoint` is called while another process is waited
    for, and may raise.
    """
    first: dict[str, int] = {}
    for i, key in enumerate(keys):
        first.setdefault(key, i)
    found: dict[str, T] = {}
    while missing := [key for key in first if key not in found]:
        mine: list[str] = []
        for key, told in zip(missing, store.take(missing), strict=True):
            if told == "other":
                continue
            known = None if isinstance(told, str) else read(first[key], told)
            if known is None:
                mine.append(key)
            else:
                found[key] = known
        if mine:
            found.update(_computed(store, mine, first, compute, read, seconds))
        elif len(found) < len(first):
            checkpoint()
            store.pause()
    return [found[key] for key in keys]


def _computed(
    store: Store,
    mine: list[str],
    first: Mapping[str, int],
    compute: Callable[[list[int]], Sequence[bytes]],
    read: Callable[[int, bytes], T | None],
    seconds: int,
) -> dict[str, T]:
    try:
        values = dict(zip(mine, compute([first[key] for key in mine]), strict=True))
    except BaseException:
        store.give_up(mine)
        raise
    store.put(values, seconds=seconds)
    fresh: dict[str, T] = {}
    for key, value in values.items():
        known = read(first[key], value)
        if known is None:
            raise Unreadable(f"what was computed for {key} cannot be read back")
        fresh[key] = known
    return fresh
