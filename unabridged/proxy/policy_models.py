"""What gives the models of a policy, with or without a memory of what they said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from unabridged.compression.cached_classifier import CachedClassifier
from unabridged.compression.cached_encoder import CachedEncoder
from unabridged.compression.cached_scorer import CachedScorer
from unabridged.compression.classifier import Classifier
from unabridged.compression.encoder import Encoder
from unabridged.compression.once import Store
from unabridged.compression.reranker import Reranker
from unabridged.compression.scorer import Scorer
from unabridged.policies.policy import Policy

Wrap = Callable[[Classifier], Classifier]


def bare(classifier: Classifier) -> Classifier:
    """A Wrap that is none."""
    return classifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """One function for each seam."""

    scorer: Callable[[Policy], Callable[[], Scorer] | None]
    """Gives what loads the policy's causal model; None: there is none."""
    encoder: Callable[[Policy], Callable[[], Encoder | None]]
    """Gives the policy's sentence encoder, or None while there is none."""
    classifier: Callable[[Policy, Wrap], Callable[[], Classifier | None]]
    """(policy, what is put around a classifier) -> gives what judges the policy's words, or None
    while nothing does."""
    reranker: Callable[[Policy], Callable[[], Reranker | None]]
    """Gives the policy's cross-encoder, or None while there is none."""

    def remembering(self, store: Store, seconds: int) -> Models:
        """The same, that look into `store` first; none of them if they are to remember nothing.
        What a reranker says of passages stands with their segment already."""
        if seconds == 0:
            return self

        def scorer(policy: Policy) -> Callable[[], Scorer] | None:
            load = self.scorer(policy)
            return load and (lambda: CachedScorer(load(), store, seconds=seconds))

        def encoder(policy: Policy) -> Callable[[], Encoder | None]:
            give = self.encoder(policy)

            def cached() -> Encoder | None:
                found = give()
                return None if found is None else CachedEncoder(found, store, seconds=seconds)

            return cached

        def classifier(policy: Policy, wrap: Wrap) -> Callable[[], Classifier | None]:
            def cached(each: Classifier) -> Classifier:
                return CachedClassifier(wrap(each), store, seconds=seconds)

            return self.classifier(policy, cached)

        return Models(scorer=scorer, encoder=encoder, classifier=classifier, reranker=self.reranker)
