"""The sentence encoders that policies rank with: loaded in the background, or a provider's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unabridged.compression.encoder import Encoder
from unabridged.policies.policy import Policy, Provider
from unabridged.proxy.loading import Loading
from unabridged.proxy.provider import ProviderEncoder


class Encoders:
    """One encoder for each source of weights."""

    def __init__(self, models: Path, load: Callable[[Path], Encoder]) -> None:
        """`models` is the model cache; `load` makes the encoder of a directory of weights."""
        self._models = Loading(models, load, name="unabridged-encoder")
        self._providers: dict[Provider, Encoder] = {}

    @property
    def loading(self) -> list[str]:
        """Sources whose model is not ready yet."""
        return self._models.loading

    def of(self, policy: Policy) -> Callable[[], Encoder | None]:
        """What gives the policy's encoder, or None while it is not loaded: sentences are then
        ranked by words."""
        source = policy.encoder
        if isinstance(source, Provider):
            provider = self._elsewhere(source)
            return lambda: provider
        return lambda: self._models.ready(source) if source else None

    def revision(self, policy: Policy) -> str:
        """Names the weights that rank at this moment; empty: none do."""
        ready = self.of(policy)()
        return f"{policy.encoder} {ready.revision}" if ready else ""

    def begin(self, policy: Policy) -> None:
        """Starts loading in a thread, unless there is nothing to load or it was done before."""
        if isinstance(policy.encoder, str):
            self._models.begin(policy.encoder)

    def _elsewhere(self, settings: Provider) -> Encoder:
        if settings not in self._providers:
            self._providers[settings] = ProviderEncoder(settings)
        return self._providers[settings]
