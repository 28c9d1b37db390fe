"""Which route a request takes, and so which policy and which upstream."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field

from unabridged.policies.config import Config, Match, Upstream
from unabridged.policies.policy import Policy

PASS_THROUGH = Policy(compressor="off")
"""What happens to a request that no route fits, or whose caller said off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a route may ask about a request."""

    path: str
    """As the client wrote it, such as /v1/chat/completions; without the query."""
    model: str = ""
    """The body's `model`; empty if there is none."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in any case."""
    team: str | None = None
    key: str | None = None
    """Name (never the secret) of the key that the caller presented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What will happen to a request."""

    route: str
    """Name of the route, or its number from 1; empty if none fits."""
    policy_name: str
    policy: Policy
    upstream_name: str
    upstream: Upstream
    why: str
    """In words a person can read, such as: route 2 'rag': model matches 'gpt-4o*'."""
    fallbacks: tuple[str, ...] = ()
    """Names of the upstreams that are asked after `upstream_name`."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Shares of the requests that go first to one of them; empty: all go to `upstream_name`."""
    question: str | None = None
    """What the caller named as the question; None: the split looks for it."""
    strict: bool = False
    """True if the target must be met even where keeping what the provider has cached is cheaper."""


def choose(config: Config, facts: Facts) -> Choice:
    """The first route that fits. If none does, the request passes through unchanged to the
    upstream named `default`, or else to the first one of the file."""
    for number, route in enumerate(config.routes, 1):
        reasons = _fits(route.match, facts)
        if reasons is None:
            continue
        name = f"route {number} {route.name!r}" if route.name else f"route {number}"
        return Choice(
            route=route.name or str(number),
            policy_name=route.policy,
            policy=config.policies[route.policy],
            upstream_name=route.upstream,
            upstream=config.upstreams[route.upstream],
            fallbacks=route.fallbacks,
            weights=route.weights,
            why=f"{name}: " + (", ".join(reasons) or "fits every request"),
        )
    upstream = "default" if "default" in config.upstreams else next(iter(config.upstreams))
    return Choice(
        route="",
        policy_name="off",
        policy=PASS_THROUGH,
        upstream_name=upstream,
        upstream=config.upstreams[upstream],
        why=f"no route fits, so it passes through unchanged to upstream {upstream!r}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One route held against a request."""

    route: str
    """Its name, or its number from 1."""
    fits: bool
    why: str
    """Such as: model matches 'gpt-4o*', or: model is 'o3', not 'gpt-4o*'."""


def tried(config: Config, facts: Facts) -> list[Tried]:
    """Every route held against a request; the first one that fits is the one that is chosen."""
    found = []
    for number, route in enumerate(config.routes, 1):
        fits = _fits(route.match, facts)
        why = ", ".join(_misfits(_wanted(route.match, facts)) if fits is None else fits)
        name = route.name or str(number)
        found.append(Tried(route=name, fits=fits is not None, why=why or "fits every request"))
    return found


def _fits(match: Match, facts: Facts) -> list[str] | None:
    """Why a route fits; None if it does not. Globs know upper from lower case; the names of
    headers do not (RFC 9110 section 5.1)."""
    wanted = _wanted(match, facts)
    if _misfits(wanted):
        return None
    return [f"{what} matches {glob!r}" for what, glob, _ in wanted]


def _misfits(wanted: list[Wanted]) -> list[str]:
    """What of a request does not fit a route."""
    return [
        f"there is no {what}" if value is None else f"{what} is {value[:60]!r}, not {glob!r}"
        for what, glob, value in wanted
        if value is None or not fnmatch.fnmatchcase(value, glob)
    ]


Wanted = tuple[str, str, str | None]
"""What a route asks about: its name, the glob, and what the request has there."""


def _wanted(match: Match, facts: Facts) -> list[Wanted]:
    headers = {n.lower(): value for n, value in facts.headers.items()} if match.headers else {}
    wanted = [
        ("path", match.path, facts.path),
        ("model", match.model, facts.model),
        *((f"header {n}", glob, headers.get(n.lower())) for n, glob in match.headers.items()),
        ("team", match.team, facts.team),
        ("key", match.key, facts.key),
    ]
    return [(what, glob, value) for what, glob, value in wanted if glob is not None]
