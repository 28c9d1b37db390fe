"""The causal models that policies need: loaded in the background, or on other machines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unabridged.compression.scorer import Scorer
from unabridged.policies.policy import Completions, Policy
from unabridged.proxy.loading import Loading
from unabridged.proxy.remote_scorer import RemoteScorer


class ScorerLoading(Exception):
    """The model is still being loaded; until then requests go on as they came."""


class ScorerMissing(Exception):
    """The weights are not on this machine, or cannot be loaded."""


class Scorers:
    """One scorer for each source of weights."""

    def __init__(self, models: Path, load: Callable[[Path], Scorer]) -> None:
        """`models` is the model cache; `load` makes the scorer of a directory of weights."""
        self._models = Loading(models, load, name="unabridged-scorer")
        self._remote: dict[Completions, Scorer] = {}

    @property
    def loading(self) -> list[str]:
        """Sources whose model is not ready yet."""
        return self._models.loading

    @property
    def failed(self) -> list[str]:
        """Sources whose weights are there but cannot be loaded."""
        return self._models.failed

    def of(self, policy: Policy) -> Callable[[], Scorer] | None:
        """What gives the policy's scorer; None if its weights are not on this machine. The
        call raises ScorerLoading or ScorerMissing rather than wait."""
        source = policy.scorer
        if isinstance(source, Completions):
            remote = self._elsewhere(source)
            return lambda: remote
        return (lambda: self._get(source)) if self._models.there(source) else None

    def revision(self, policy: Policy) -> str:
        """Names the weights as exactly as is known by now."""
        source = policy.scorer
        if isinstance(source, Completions):
            return self._elsewhere(source).revision
        ready = self._models.ready(source)
        return f"{source} {ready.revision if ready else ''}"

    def begin(self, policy: Policy) -> None:
        """Starts loading in a thread, unless the weights are missing or it was done before; for a
        server there is nothing to load."""
        if isinstance(policy.scorer, str):
            self._models.begin(policy.scorer)

    def _elsewhere(self, settings: Completions) -> Scorer:
        if settings not in self._remote:
            self._remote[settings] = RemoteScorer(settings)
        return self._remote[settings]

    def _get(self, source: str) -> Scorer:
        scorer = self._models.ready(source)
        if scorer is not None:
            return scorer
        self._models.begin(source)
        if source in self.failed:
            raise ScorerMissing(f"{source} could not be loaded")
        raise ScorerLoading(f"{source} is still being loaded")
