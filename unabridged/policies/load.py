"""Read and check a configuration file: every error at once, each with its line."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from unabridged.policies.budget import Budget
from unabridged.policies.config import Config, Route
from unabridged.policies.policy import Policy
from unabridged.policies.problem import ConfigError, Place, Problem, meant, phrase, shown
from unabridged.policies.source import Source, read

WEIGHTS = re.compile(r"embedded$|(pypi|hf|path|embedded):.")
"""How weights are named; which of them there are, only the proxy knows."""


def load(path: Path | None, *, compressors: Collection[str]) -> Config:
    """The configuration of a file; None: the one that ships with the package.

    `compressors` are the names that are built (this part may not ask the compression for
    them). The policies of the shipped file can be used by name in every other file; a policy
    of the same name takes their place. Nothing else is inherited.

    Raises ConfigError, which lists every problem, each with file, line and key.
    """
    if path is None:
        return parse(default_text(), "default.yaml", compressors=compressors)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        problem = Problem(file=str(path), line=0, place=(), message=f"cannot be read: {said}")
        raise ConfigError([problem]) from error
    return parse(text, str(path), compressors=compressors)


def parse(text: str, name: str, *, compressors: Collection[str]) -> Config:
    """The configuration in a YAML (or JSON) text; `name` stands for it in errors. See `load`."""
    source = read(text, name)
    data = {} if source.data is None else source.data
    if not isinstance(data, dict):
        problem = Problem(file=name, line=1, place=(), message="must be a mapping of keys")
        raise ConfigError([*source.problems, problem])
    if source.data is None and source.problems:
        raise ConfigError(source.problems)
    whole = _with_shipped_policies(data)
    problems = list(source.problems)
    for place, message in (
        *_dangling(whole),
        *_budgets(whole, compressors),
        *_unknown(data, compressors),
    ):
        problems.append(_problem(source, place, message))
    try:
        # By way of JSON, because strict checking of Python data would refuse lists for tuples.
        config = Config.model_validate_json(json.dumps(whole, default=str), strict=True)
    except ValidationError as error:
        rules = schema()
        for details in error.errors():
            if details["loc"]:  # the whole file's own check is _dangling, said with its lines
                place, message = phrase(details, rules)
                problems.append(_problem(source, place, message, details["loc"]))
        raise ConfigError(problems) from None
    if problems:
        raise ConfigError(problems)
    return config


def parse_budget(
    text: str, name: str, *, policies: Collection[str], compressors: Collection[str]
) -> Budget:
    """One budget in a YAML (or JSON) text, written as under `budgets`. Raises ConfigError."""
    source = read(text, name)
    data = source.data
    if source.problems or not isinstance(data, dict):
        first = Problem(file=name, line=1, place=(), message="must be a mapping, such as a budget")
        raise ConfigError(source.problems or [first])
    dangling = _budgets({"budgets": [data], "policies": policies}, compressors)
    problems = [_problem(source, place[2:], message) for place, message in dangling]
    try:
        budget = Budget.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        rules = Budget.model_json_schema()
        for details in error.errors():
            place, message = phrase(details, rules)
            problems.append(_problem(source, place, message, details["loc"]))
        raise ConfigError(problems) from None
    if problems:
        raise ConfigError(problems)
    return budget


def parse_policy(text: str, name: str, *, compressors: Collection[str]) -> Policy:
    """One policy in a YAML (or JSON) text, written as under its name in `policies`. Raises
    ConfigError."""
    source = read(text, name)
    data = {} if source.data is None and not source.problems else source.data
    if source.problems or not isinstance(data, dict):
        first = Problem(file=name, line=1, place=(), message="must be a mapping, such as a policy")
        raise ConfigError(source.problems or [first])
    wrong = _unknown({"policies": {"": data}}, compressors)
    problems = [_problem(source, place[2:], message) for place, message in wrong]
    try:
        policy = Policy.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        rules = Policy.model_json_schema()
        for details in error.errors():
            place, message = phrase(details, rules)
            problems.append(_problem(source, place, message, details["loc"]))
        raise ConfigError(problems) from None
    if problems:
        raise ConfigError(problems)
    return policy


def default_text() -> str:
    """The shipped configuration file, which is also the reference of every key."""
    return (resources.files("unabridged.policies") / "default.yaml").read_text(encoding="utf-8")


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the configuration file, for editors and for `check`."""
    rules = Config.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **rules}


def _with_shipped_policies(data: Mapping[str, Any]) -> dict[str, Any]:
    own = data.get("policies")
    if own is not None and not isinstance(own, dict):
        return dict(data)
    shipped = read(default_text(), "default.yaml").data["policies"]
    return {**data, "policies": {**shipped, **(own or {})}}


def _problem(source: Source, place: Place, message: str, at: Place | None = None) -> Problem:
    line = source.line(tuple(at if at is not None else place))
    return Problem(file=source.name, line=line, place=place, message=message)


def _dangling(data: Mapping[str, Any]) -> list[tuple[Place, str]]:
    """Routes that name a policy or an upstream that is not there."""
    routes = data.get("routes", [{}])
    found: list[tuple[Place, str]] = []
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        for key, table in (("policy", "policies"), ("upstream", "upstreams")):
            known = data.get(table)
            if not isinstance(known, dict) or not isinstance(route, dict):
                continue
            name = route.get(key, Route.model_fields[key].default)
            if isinstance(name, str) and name not in known:
                said = f"unknown {key} {name!r}; {meant(name, sorted(known))}"
                if key not in route:
                    said += f" (used where a route names no {key})"
                found.append((("routes", index, key), said))
        found += _other_upstreams(index, route, data.get("upstreams"))
    return found


def _other_upstreams(index: int, route: Any, known: Any) -> Iterator[tuple[Place, str]]:
    """Fallbacks that are not there, and weights of what is not among them."""
    if not isinstance(known, dict) or not isinstance(route, dict):
        return
    fallbacks, weights = route.get("fallbacks"), route.get("weights")
    own = [route.get("upstream", "default"), *(fallbacks if isinstance(fallbacks, list) else ())]
    for number, name in enumerate(own[1:]):
        if isinstance(name, str) and name not in known:
            said = f"unknown upstream {name!r}; {meant(name, sorted(known))}"
            yield ("routes", index, "fallbacks", number), said
    for name in weights if isinstance(weights, dict) else ():
        if name not in own:
            said = f"{name!r} is neither this route's upstream nor one of its fallbacks"
            yield ("routes", index, "weights", name), said


def _budgets(data: Mapping[str, Any], compressors: Collection[str]) -> list[tuple[Place, str]]:
    """Budgets of one name, and steps that name a policy or compressor that is not there."""
    budgets = data.get("budgets")
    found: list[tuple[Place, str]] = []
    seen: set[str] = set()
    for index, budget in enumerate(budgets if isinstance(budgets, list) else ()):
        if not isinstance(budget, dict):
            continue
        name = budget.get("name")
        if isinstance(name, str) and name in seen:
            found.append((("budgets", index, "name"), f"two budgets are named {name!r}"))
        seen.add(str(name))
        steps = budget.get("at")
        for share, step in steps.items() if isinstance(steps, dict) else ():
            for key, known in (("policy", data.get("policies")), ("compressor", compressors)):
                wanted = step.get(key) if isinstance(step, dict) else None
                if isinstance(wanted, str) and known and wanted not in known:
                    said = f"unknown {key} {wanted!r}; {meant(wanted, sorted(known))}"
                    found.append((("budgets", index, "at", share, key), said))
    return found


def _unknown(data: Mapping[str, Any], compressors: Collection[str]) -> list[tuple[Place, str]]:
    """Policies of the file whose compressor does not exist, or whose weights have no such name."""
    policies = data.get("policies")
    found: list[tuple[Place, str]] = []
    for name, policy in policies.items() if isinstance(policies, dict) else ():
        if not isinstance(policy, dict):
            continue
        for key in ("classifier", "scorer", "encoder", "reranker"):
            weights = policy.get(key)
            if isinstance(weights, str) and not WEIGHTS.match(weights):
                said = f"weights are pypi:NAME, hf:ORG/NAME or path:PLACE, not {shown(weights)}"
                found.append((("policies", name, key), said))
        wanted = policy.get("compressor")
        if not isinstance(wanted, str) or wanted in compressors:
            continue
        said = f"unknown compressor {wanted!r}; " + meant(wanted, compressors)
        found.append((("policies", name, "compressor"), said))
    return found
