"""What a budget that runs low makes of a choice: a stronger rate, a cheaper model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from unabridged.policies.budget import Step
from unabridged.policies.choose import Choice
from unabridged.policies.config import Config
from unabridged.policies.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """A step that a budget has reached."""

    budget: str
    share: str
    """As it is written, such as 80%."""
    step: Step

    def __str__(self) -> str:
        return f"{self.budget} {self.share}"


def tighten(choice: Choice, config: Config, steps: Sequence[InForce]) -> Choice:
    """The choice with the steps in force, the strongest last. Of several rates the smallest
    counts. The caller's own wishes do not loosen a step, and a step does not loosen them."""
    for reached in steps:
        if reached.step.do == "tighten":
            choice = _tightened(choice, config, reached)
    return choice


def model_for(model: str, steps: Sequence[InForce]) -> str:
    """The model to ask: that of the strongest step that names one."""
    named = [reached.step.model for reached in steps if reached.step.model is not None]
    return named[-1] if named else model


def _tightened(choice: Choice, config: Config, reached: InForce) -> Choice:
    step = reached.step
    policy, name = choice.policy, choice.policy_name
    if step.policy is not None and step.policy in config.policies:
        policy, name = config.policies[step.policy], step.policy
    update: dict[str, Any] = {}
    if step.compressor is not None:
        update["compressor"] = step.compressor
    elif step.rate is not None and policy.compressor == "off":
        update["compressor"] = "auto"
    if step.rate is not None:
        update |= _rates(policy, step.rate)
    return replace(
        choice,
        policy=policy.model_copy(update=update),
        policy_name=name,
        why=f"{choice.why}; budget {reached.budget!r} is used to {reached.share}",
    )


def _rates(policy: Policy, rate: float) -> dict[str, Any]:
    """Targets in tokens are left: they do not grow with the prompt."""
    ranges = tuple(
        r if r.rate is None else r.model_copy(update={"rate": min(r.rate, rate)})
        for r in policy.ranges
    )
    if policy.target_tokens is not None:
        return {"ranges": ranges}
    return {"ranges": ranges, "rate": min(policy.rate or 1.0, rate)}
