"""Loads the causal models that policies need, in the background, and never twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from unabridged.compression.scorer import Scorer
from unabridged.policies.policy import Policy
from unabridged.proxy.weights import Source, locate


class ScorerLoading(Exception):
    """The model is still being loaded; until then requests go on as they came."""


class ScorerMissing(Exception):
    """The weights are not on this machine, or cannot be loaded."""


class Scorers:
    """One scorer for each source of weights."""

    def __init__(self, models: Path, load: Callable[[Path], Scorer]) -> None:
        """`models` is the model cache; `load` makes the scorer of a directory of weights."""
        self._models = models
        self._load = load
        self._lock = threading.Lock()
        self._ready: dict[str, Scorer] = {}
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

    def of(self, policy: Policy) -> Callable[[], Scorer] | None:
        """What gives the policy's scorer; None if its weights are not on this machine. The
        call raises ScorerLoading or ScorerMissing rather than wait."""
        source = policy.scorer
        if source not in self._ready and self._place(source) is None:
            return None
        return lambda: self._get(source)

    def revision(self, policy: Policy) -> str:
        """Names the weights as exactly as is known by now."""
        ready = self._ready.get(policy.scorer)
        return f"{policy.scorer} {ready.revision if ready else ''}"

    def begin(self, source: str) -> None:
        """Starts loading in a thread, unless the weights are missing or it was done before."""
        with self._lock:
            known = (self._ready, self._loading, self._failed)
            place = None if any(source in table for table in known) else self._place(source)
            if place is None:
                return
            thread = threading.Thread(
                target=self._fetch, args=(source, place), name="unabridged-scorer", daemon=True
            )
            self._loading[source] = thread
            thread.start()

    def _get(self, source: str) -> Scorer:
        scorer = self._ready.get(source)
        if scorer is not None:
            return scorer
        self.begin(source)
        if source in self._failed:
            raise ScorerMissing(f"{source} could not be loaded")
        raise ScorerLoading(f"{source} is still being loaded")

    def _fetch(self, source: str, place: Path) -> None:
        try:
            self._ready[source] = self._load(place)
        except Exception as error:
            self._failed[source] = error
        finally:
            del self._loading[source]

    def _place(self, source: str) -> Path | None:
        return locate(Source.parse(source), self._models)
