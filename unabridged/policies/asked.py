"""What a caller asks of us for one request, and whether the operator allows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

from pydantic import Field, ValidationError, model_validator

from unabridged.policies.choose import PASS_THROUGH, Choice
from unabridged.policies.config import Config
from unabridged.policies.policy import Frozen, Override, Policy, Share
from unabridged.policies.problem import meant, phrase, shown

HEADERS = ("x-unabridged", "x-unabridged-policy", "x-unabridged-upstream")
"""By which a caller asks."""


class BadAsk(ValueError):
    """What the caller wrote cannot be understood; names the header or field and the limit."""


class UnknownPolicy(BadAsk):
    """The caller names a policy that the configuration does not have."""


class NotAllowed(Exception):
    """The policy's `allow` does not list what the caller asks for."""

    def __init__(self, what: Override, policy_name: str, policy: Policy) -> None:
        self.what = what
        allowed = ", ".join(policy.allow) or "nothing"
        super().__init__(
            f"policy {policy_name!r} does not let a caller choose {what!r}; it allows: {allowed}"
            f" (policies.{policy_name}.allow in the configuration)"
        )


class Asked(Frozen):
    """What one request asks for. The same fields as the body's `unabridged` object."""

    policy: str | None = None
    """Name of the policy to use instead of the route's."""
    off: bool = False
    """True: leave this request alone."""
    rate: Share | None = None
    """Share of the prompt's tokens to keep, instead of the policy's."""
    tokens: int | None = Field(default=None, ge=1)
    """Tokens the prompt may have, instead of the policy's rate."""
    question: str | None = None
    """What the documents are judged by, instead of what the split finds."""
    upstream: str | None = None
    """Name of the upstream to ask, and no other; never a URL."""

    @model_validator(mode="after")
    def _one_target(self) -> Asked:
        if self.rate is not None and self.tokens is not None:
            raise ValueError("set rate or tokens, not both")
        return self

    @classmethod
    def parse(cls, headers: Mapping[str, str], extra: Any = None) -> Asked:
        """Reads the headers in HEADERS and the value of the body's `unabridged` (None: not
        there). The body wins over the headers, but for `off`, which either can say. Raises
        BadAsk; the text of a question is never part of the error."""
        lower = {name.lower(): value.strip() for name, value in headers.items()}
        switch = lower.get("x-unabridged")
        if switch is not None and switch.lower() != "off":
            raise BadAsk(f"header x-unabridged must be 'off', not {shown(switch)}")
        if extra is not None and not isinstance(extra, dict):
            raise BadAsk(f"unabridged: must be an object, not {shown(extra)}")
        try:
            asked = cls.model_validate(extra or {}, strict=True)
        except ValidationError as error:
            _refuse(error)
        return asked.model_copy(
            update={
                "policy": asked.policy or lower.get("x-unabridged-policy") or None,
                "upstream": asked.upstream or lower.get("x-unabridged-upstream") or None,
                "off": asked.off or switch is not None,
            }
        )


def apply(choice: Choice, config: Config, asked: Asked) -> Choice:
    """The choice as the caller wants it. Whoever changes the policy needs the leave of both
    the route's policy and the new one, so that a change of policy opens no closed door.

    Raises UnknownPolicy and NotAllowed.
    """
    granting = [(choice.policy_name, choice.policy)]
    if asked.policy is not None:
        _allowed("policy", granting)
        choice = _switched(choice, config, asked.policy)
        granting.append((choice.policy_name, choice.policy))
    if asked.upstream is not None:
        _allowed("upstream", granting)
        choice = _sent_to(choice, config, asked.upstream)
    if asked.off or (asked.policy is not None and choice.policy.compressor == "off"):
        _allowed("off", granting[:1])
    if asked.off:
        return replace(choice, policy_name="off", policy=PASS_THROUGH, why="the caller said off")
    update: dict[str, Any] = {}
    said = []
    if asked.rate is not None:
        _allowed("rate", granting)
        update = {"rate": asked.rate, "target_tokens": None, "ranges": ()}
        said.append(f"rate {asked.rate:g}")
    if asked.tokens is not None:
        _allowed("tokens", granting)
        update = {"rate": None, "target_tokens": asked.tokens, "ranges": ()}
        said.append(f"{asked.tokens} tokens")
    if asked.question is not None:
        _allowed("question", granting)
        said.append("a question of its own")
    if not said:
        return choice
    return replace(
        choice,
        policy=choice.policy.model_copy(update=update),
        question=asked.question,
        why=f"{choice.why}; the caller asks for {' and '.join(said)}",
    )


def _switched(choice: Choice, config: Config, name: str) -> Choice:
    if name not in config.policies:
        raise UnknownPolicy(f"unknown policy {shown(name)}; {meant(name, sorted(config.policies))}")
    return replace(
        choice,
        policy_name=name,
        policy=config.policies[name],
        why=f"{choice.why}; the caller asks for policy {name!r}",
    )


def _sent_to(choice: Choice, config: Config, name: str) -> Choice:
    if name not in config.upstreams:
        known = meant(name, sorted(config.upstreams))
        raise BadAsk(f"unknown upstream {shown(name)}; {known}")
    return replace(
        choice,
        upstream_name=name,
        upstream=config.upstreams[name],
        fallbacks=(),
        weights={},
        why=f"{choice.why}; the caller asks for upstream {name!r}",
    )


def _allowed(what: Override, granting: list[tuple[str, Policy]]) -> None:
    for name, policy in granting:
        if what not in policy.allow:
            raise NotAllowed(what, name, policy)


def _refuse(error: ValidationError) -> NoReturn:
    rules = Asked.model_json_schema()
    said = []
    for details in error.errors():
        place, message = phrase(details, rules)
        if details["loc"] == ("question",):
            message = "must be a text"
        said.append(f"{'.'.join(('unabridged', *map(str, place)))}: {message}")
    raise BadAsk("; ".join(said)) from None
