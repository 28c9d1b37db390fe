"""Which windows of text go through a model together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Window(Protocol):
    """The tokens of one text, or of a part of it, for one forward pass."""

    @property
    def text(self) -> int:
        """Index of the text."""
        ...

    @property
    def start(self) -> int:
        """Number of the first token in its text that is read here for the first time."""
        ...

    @property
    def ids(self) -> tuple[int, ...]: ...


AnyWindow = TypeVar("AnyWindow", bound=Window)


def batches(windows: Sequence[AnyWindow], tokens: int) -> list[list[AnyWindow]]:
    """Windows of like length together, at most `tokens` in a batch with its padding, unless a
    single window has more.

    The number of cores is not asked: sums of other shapes differ in their last digits, and all
    replicas are to find the same.
    """
    found: list[list[AnyWindow]] = []
    for window in sorted(windows, key=lambda w: (-len(w.ids), w.text, w.start)):
        # Longest first: the first window of a batch is as wide as the batch.
        if found and (len(found[-1]) + 1) * len(found[-1][0].ids) <= tokens:
            found[-1].append(window)
        else:
            found.append([window])
    return found
