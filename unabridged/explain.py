"""What would happen to a request, and why. Nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from unabridged.abridge import Abridged, abridge
from unabridged.compression.classifier import Classifier
from unabridged.compression.encoder import Encoder
from unabridged.compression.reranker import Reranker
from unabridged.compression.scorer import Scorer
from unabridged.compression.tokens import counter
from unabridged.policies.asked import Asked, apply
from unabridged.policies.choose import Choice, Facts, Tried, choose, tried
from unabridged.policies.config import Config
from unabridged.policies.policy import Completions, Provider


class NotARequest(ValueError):
    """The text is not the JSON object of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Route, policy and reason, and what each segment of the request would keep."""

    tries: tuple[Tried, ...]
    """Every route held against the request."""
    choice: Choice
    abridged: Abridged
    model: str
    """The one that the request names."""


def explain(
    config: Config,
    body: str,
    *,
    path: str = "/v1/chat/completions",
    headers: Mapping[str, str] | None = None,
    team: str | None = None,
    key: str | None = None,
    scorer: Callable[[str | Completions], Callable[[], Scorer] | None] = lambda source: None,
    encoder: Callable[[str | Provider | None], Callable[[], Encoder | None]] = lambda source: (
        lambda: None
    ),
    reranker: Callable[[str | Provider | None], Callable[[], Reranker | None]] = lambda source: (
        lambda: None
    ),
    classifier: Callable[[str], Callable[[], Classifier | None]] = lambda source: lambda: None,
) -> Explanation:
    """Explain the request with this body, as if it came to `path` with these headers, from a
    caller whose key has this name and team.

    `scorer`, `encoder`, `classifier` and `reranker` give, for what a policy names, what loads it
    (None: not at hand).
    Raises NotARequest, and what `Asked.parse` and `apply` raise.
    """
    headers = headers or {}
    request = _parsed(body)
    model = request.get("model")
    facts = Facts(
        path=path,
        model=model if isinstance(model, str) else "",
        headers=headers,
        team=team,
        key=key,
    )
    asked = Asked.parse(headers, request.get("unabridged"))
    choice = apply(choose(config, facts), config, asked)
    abridged = abridge(
        body,
        choice.policy,
        count=counter(facts.model, tokenizer=choice.upstream.tokenizer),
        question=choice.question,
        scorer=scorer(choice.policy.scorer),
        encoder=encoder(choice.policy.encoder),
        classifier=classifier(choice.policy.classifier),
        reranker=reranker(choice.policy.reranker),
    )
    tries = tuple(tried(config, facts))
    return Explanation(tries=tries, choice=choice, abridged=abridged, model=facts.model)


def _parsed(body: str) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except ValueError as error:
        raise NotARequest(f"not a request: not JSON ({error})") from error
    if not isinstance(request, dict):
        raise NotARequest('not a request: its JSON must be an object, such as {"messages": ...}')
    return request
