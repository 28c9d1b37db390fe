"""The sentence encoders that policies rank with, loaded in the background."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unabridged.compression.encoder import Encoder
from unabridged.policies.policy import Policy
from unabridged.proxy.loading import Loading


class Encoders:
    """One encoder for each source of weights."""

    def __init__(self, models: Path, load: Callable[[Path], Encoder]) -> None:
        """`models` is the model cache; `load` makes the encoder of a directory of weights."""
        self._models = Loading(models, load, name="unabridged-encoder")

    @property
    def loading(self) -> list[str]:
        """Sources whose model is not ready yet."""
        return self._models.loading

    def of(self, policy: Policy) -> Callable[[], Encoder | None]:
        """What gives the policy's encoder, or None while it is not loaded: sentences are then
        ranked by words."""
        return lambda: self._models.ready(policy.encoder) if policy.encoder else None

    def revision(self, policy: Policy) -> str:
        """Names the weights that rank at this moment; empty: none do."""
        ready = self.of(policy)()
        return f"{policy.encoder} {ready.revision}" if ready else ""

    def begin(self, policy: Policy) -> None:
        """Starts loading in a thread, unless there is nothing to load or it was done before."""
        if policy.encoder:
            self._models.begin(policy.encoder)
