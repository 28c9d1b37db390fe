"""Loads models in the background, each at most once in a process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from unabridged.policies.policy import Policy
from unabridged.proxy.weights import Source, locate, whole

M = TypeVar("M")

# transformers fills its modules as names are first looked up, and fails where two threads do it.
_ONE_AT_A_TIME = threading.Lock()


class Seam(Protocol):
    """The models behind one seam: scorers, encoders, classifiers or rerankers."""

    @property
    def loading(self) -> list[str]:
        """Sources whose model is not ready yet."""
        ...

    def revision(self, policy: Policy) -> str:
        """Names the weights of a policy as exactly as is known by now; part of cache keys."""
        ...

    def begin(self, policy: Policy) -> None:
        """Starts loading in a thread, unless there is nothing to load or it was done before."""
        ...


class Loading(Generic[M]):
    """Models of one kind by the source of their weights."""

    def __init__(self, models: Path, load: Callable[[Path], M], *, name: str) -> None:
        """`models` is the model cache; `load` makes the model of a directory of weights, `name`
        is what its threads are called."""
        self._models = models
        self._load = load
        self._name = name
        self._lock = threading.Lock()
        self._ready: dict[str, M] = {}
        self._loading: dict[str, threading.Thread] = {}
        self._failed: dict[str, Exception] = {}

    @property
    def loading(self) -> list[str]:
        """Sources whose model is not ready yet."""
        return sorted(self._loading)

    @property
    def failed(self) -> list[str]:
        """Sources whose weights are there but cannot be loaded."""
        return sorted(self._failed)

    def ready(self, source: str) -> M | None:
        """The model, if it is loaded."""
        return self._ready.get(source)

    def there(self, source: str) -> bool:
        """True if the weights are on this machine."""
        return source in self._ready or self._place(source) is not None

    def begin(self, source: str) -> None:
        """Starts loading in a thread, unless the weights are missing or it was done before."""
        with self._lock:
            known = (self._ready, self._loading, self._failed)
            place = None if any(source in table for table in known) else self._place(source)
            if place is None:
                return
            thread = threading.Thread(
                target=self._fetch, args=(source, place), name=self._name, daemon=True
            )
            self._loading[source] = thread
            thread.start()

    def _fetch(self, source: str, place: Path) -> None:
        try:
            with _ONE_AT_A_TIME:
                self._ready[source] = self._load(place)
        except Exception as error:
            self._failed[source] = error
        finally:
            del self._loading[source]

    def _place(self, source: str) -> Path | None:
        place = locate(Source.parse(source), self._models)
        return place if place is not None and whole(place, self._models) else None
