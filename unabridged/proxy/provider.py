"""Embedding and rerank models of any provider, by litellm."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unabridged.compression.encoder import Encoded, Vectors, unit
from unabridged.compression.prompt import Span
from unabridged.policies.policy import Provider
from unabridged.proxy.litellm_loading import load_litellm


class ProviderDown(Exception):
    """The provider could not be reached, was too slow, refused, or answered something else."""


class ProviderEncoder:
    """An Encoder on a provider's embedding model.

    Texts and their stretches are sent each by itself, because a provider gives one vector for a
    text: sentences cost their tokens once more.
    """

    def __init__(self, settings: Provider, environment: Mapping[str, str] = os.environ) -> None:
        """Raises ProviderDown if the variable that `api_key_env` names is not set. litellm is
        imported with the first question."""
        self._settings = settings
        self._given = _given(settings, environment)

    @property
    def revision(self) -> str:
        """Names the model and where it runs."""
        return _revision(self._settings)

    def reads(self, text: str) -> bool:
        """True: providers' models are multilingual."""
        return True

    def question(self, text: str) -> Vectors:
        """The vector of what is asked, shape (size,). Raises ProviderDown."""
        return self._vectors([text], lambda: None)[0]

    def passages(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> list[Encoded]:
        """The vectors of texts and of stretches of them; what is empty gets zeros. Raises
        ValueError if there is not one list of spans for each text, and ProviderDown."""
        if len(spans) != len(texts):
            raise ValueError(f"{len(spans)} lists of spans for {len(texts)} texts")
        wanted: dict[str, None] = {}
        for text, inside in zip(texts, spans, strict=True):
            wanted |= dict.fromkeys([text, *(text[a:b] for a, b in inside)])
        asked = [text for text in wanted if text.strip()]
        known = dict(zip(asked, self._vectors(asked, checkpoint), strict=True))
        size = len(next(iter(known.values()))) if known else 1
        nothing = np.zeros(size, dtype=np.float32)
        return [
            Encoded(
                whole=known.get(text, nothing),
                spans=np.array(
                    [known.get(text[a:b], nothing) for a, b in inside], dtype=np.float32
                ).reshape(-1, size),
            )
            for text, inside in zip(texts, spans, strict=True)
        ]

    def _vectors(self, texts: Sequence[str], checkpoint: Callable[[], None]) -> list[Vectors]:
        found: list[Vectors] = []
        for at in range(0, len(texts), self._settings.batch):
            checkpoint()
            batch = list(texts[at : at + self._settings.batch])
            answer = _call("embedding", self._settings, input=batch, **self._given)
            rows = sorted(_rows(answer, "data", len(batch)), key=lambda row: int(row["index"]))
            found += [unit(np.array(row["embedding"], dtype=np.float32)) for row in rows]
        return found


class ProviderReranker:
    """A Reranker on a provider's rerank model."""

    def __init__(self, settings: Provider, environment: Mapping[str, str] = os.environ) -> None:
        """As for ProviderEncoder."""
        self._settings = settings
        self._given = _given(settings, environment)

    @property
    def revision(self) -> str:
        """Names the model and where it runs."""
        return _revision(self._settings)

    def scores(
        self,
        question: str,
        passages: Sequence[str],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> NDArray[np.float64]:
        """The provider's relevance of each passage, shape (passages,). Raises ProviderDown."""
        found = np.full(len(passages), -np.inf)
        # An empty text is refused by some providers; it answers nothing.
        full = [i for i, passage in enumerate(passages) if passage.strip()]
        for at in range(0, len(full), self._settings.batch):
            checkpoint()
            batch = full[at : at + self._settings.batch]
            answer = _call(
                "rerank",
                self._settings,
                query=question,
                documents=[passages[i] for i in batch],
                # Without it some providers leave out all but the best.
                top_n=len(batch),
                return_documents=False,
                **self._given,
            )
            for row in _rows(answer, "results", len(batch)):
                found[batch[int(row["index"])]] = float(row["relevance_score"])
        return found


def _given(settings: Provider, environment: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {"api_base": settings.url} if settings.url else {}
    if settings.api_key_env is not None:
        key = environment.get(settings.api_key_env)
        if not key:
            raise ProviderDown(
                f"the environment variable {settings.api_key_env} is not set, which api_key_env "
                f"of {settings} names"
            )
        given["api_key"] = key
    return given


def _revision(settings: Provider) -> str:
    return f"litellm-{hashlib.sha256(str(settings).encode()).hexdigest()[:16]}"


def _call(function: str, settings: Provider, **given: Any) -> Any:
    """Call a function of litellm. Raises ProviderDown without a word of what was sent."""
    try:
        return getattr(load_litellm(), function)(
            model=settings.litellm,
            timeout=settings.answer_seconds,
            num_retries=settings.retries,
            **given,
        )
    except Exception as error:
        status = getattr(error, "status_code", None)
        said = f" with status {status}" if status else ""
        raise ProviderDown(f"{settings} failed{said} ({type(error).__name__})") from None


def _rows(answer: Any, key: str, count: int) -> list[dict[str, Any]]:
    rows = getattr(answer, key, None)
    if not isinstance(rows, list) or len(rows) != count:
        raise ProviderDown(f"the provider answered {len(rows or [])} rows for {count} texts")
    return [dict(row) for row in rows]
