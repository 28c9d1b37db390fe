"""Loads what ranks documents for programs written for llmlingua 0.2.2."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from unabridged.compression.encoder import Encoder
from unabridged.compression.reranker import Reranker
from unabridged.llmlingua_rankers import KEY, Method
from unabridged.policies.policy import Policy
from unabridged.proxy.installed import installed_encoder, installed_reranker
from unabridged.proxy.provider import ProviderEncoder, ProviderReranker


def encoder_of(how: Method, config: Mapping[str, Any]) -> Callable[[], Encoder | None]:
    """What gives the encoder of a method: llmlingua's own model if its weights are on this
    machine, else the one of this package, with a warning."""
    if how.model:
        remote = ProviderEncoder(how.elsewhere(config), {KEY: str(config.get("api_key"))})
        return lambda: remote
    usual = Policy().encoder
    if how.weights:
        found = installed_encoder(how.weights)
        if found() is not None:
            return found
        warnings.warn(
            f"{how.weights} is not on this machine (`unabridged models pull {how.weights}`); "
            f"{usual} ranks in its place",
            UserWarning,
            stacklevel=2,
        )
    return installed_encoder(usual)


def reranker_of(how: Method, config: Mapping[str, Any]) -> Callable[[], Reranker | None]:
    """What gives the cross-encoder of a method; None where its weights are not there."""
    if how.model:
        remote = ProviderReranker(how.elsewhere(config), {KEY: str(config.get("api_key"))})
        return lambda: remote
    return installed_reranker(how.weights)
