"""Runs the batches of a model: side by side on a processor, each on one core; in turn elsewhere.

A pass that is spread over all cores waits at each layer for the slowest of them, and spins while it
waits. For small encoders on a machine that does other work as well, that made reading three times
slower than on one core alone; batches that share nothing wait for nobody. Larger models gain some
10 to 25 percent on an idle machine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import torch

Batch = TypeVar("Batch")
Found = TypeVar("Found")


class Runner(Protocol):
    """What runs batches."""

    def each(
        self,
        run: Callable[[Batch], Found],
        batches: Sequence[Batch],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> Iterator[Found]:
        """What `run` makes of each batch, in their order. Raises what `run` raises, and what
        `checkpoint` does, which is called before each of them, in the thread that runs it."""
        ...


def runner(device: torch.device, threads: int | None = None) -> Runner:
    """What suits a device. `threads`: of the processor (None: torch's own choice)."""
    return Cores(threads) if device.type == "cpu" else InTurn()


class InTurn:
    """One batch after the other, for a device that a single one keeps busy."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def each(
        self,
        run: Callable[[Batch], Found],
        batches: Sequence[Batch],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> Iterator[Found]:
        """As a Runner does."""
        for batch in batches:
            checkpoint()
            with self._lock, torch.inference_mode():
                found = run(batch)
            yield found


class Cores:
    """Threads that each compute on one core."""

    def __init__(self, threads: int | None = None) -> None:
        """`threads`: None for as many as torch would spread a pass over."""
        usual = torch.get_num_threads()
        count = threads or usual
        everyone = threading.Barrier(count + 1)
        self._pool = ThreadPoolExecutor(count, "unabridged-core", _alone)
        for _ in range(count):
            self._pool.submit(everyone.wait)
        everyone.wait()
        # Each thread has its own number, and new ones begin with the last that anyone set.
        torch.set_num_threads(usual)

    def each(
        self,
        run: Callable[[Batch], Found],
        batches: Sequence[Batch],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> Iterator[Found]:
        """As a Runner does."""

        def one(batch: Batch) -> Found:
            checkpoint()
            with torch.inference_mode():
                return run(batch)

        futures = [self._pool.submit(one, batch) for batch in batches]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def _alone() -> None:
    torch.get_num_threads()  # or its first pass would set the number again
    torch.set_num_threads(1)
