"""The cross-encoders that policies rank with: loaded in the background, or a provider's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unabridged.compression.reranker import Reranker
from unabridged.policies.policy import Policy, Provider
from unabridged.proxy.loading import Loading
from unabridged.proxy.provider import ProviderReranker


class Rerankers:
    """One reranker for each source."""

    def __init__(self, models: Path, load: Callable[[Path], Reranker]) -> None:
        """`models` is the model cache; `load` makes the reranker of a directory of weights."""
        self._models = Loading(models, load, name="unabridged-reranker")
        self._providers: dict[Provider, Reranker] = {}

    @property
    def loading(self) -> list[str]:
        """Sources whose model is not ready yet."""
        return self._models.loading

    def of(self, policy: Policy) -> Callable[[], Reranker | None]:
        """What gives the policy's reranker, or None while it is not loaded."""
        source = policy.reranker
        if isinstance(source, Provider):
            if source not in self._providers:
                self._providers[source] = ProviderReranker(source)
            provider = self._providers[source]
            return lambda: provider
        return lambda: self._models.ready(source) if source else None

    def revision(self, policy: Policy) -> str:
        """Names what ranks at this moment; empty: none does."""
        ready = self.of(policy)()
        return f"{policy.reranker} {ready.revision}" if ready else ""

    def begin(self, policy: Policy) -> None:
        """Starts loading in a thread, unless there is nothing to load or it was done before."""
        if isinstance(policy.reranker, str):
            self._models.begin(policy.reranker)
