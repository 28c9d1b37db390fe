"""What flags and environment change about the configuration of a file."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from unabridged.policies.config import Config
from unabridged.policies.load import schema
from unabridged.policies.problem import dotted, meant, phrase


class BadOverride(ValueError):
    """A flag or environment variable has a value that the configuration cannot take."""


def override(
    config: Config,
    *,
    upstream: str | None = None,
    policy: str | None = None,
    host: str | None = None,
    port: int | None = None,
    keys_file: str | None = None,
    store_url: str | None = None,
) -> Config:
    """The configuration with what is given in place of what the file says; None: not given.

    `upstream` is the URL of the upstream named `default`, `policy` the policy of every route.
    Raises BadOverride, which names the value and the limit.
    """
    if policy is not None and policy not in config.policies:
        raise BadOverride(f"unknown policy {policy!r}; {meant(policy, sorted(config.policies))}")
    data: dict[str, Any] = config.model_dump(mode="python")
    if upstream is not None:
        data["upstreams"].setdefault("default", {})["url"] = upstream
    if policy is not None:
        data["routes"] = [{**route, "policy": policy} for route in data["routes"]]
    server = {"host": host, "port": port, "keys_file": keys_file}
    data["server"].update({key: value for key, value in server.items() if value is not None})
    if store_url is not None:
        data["store"]["url"] = store_url
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        said = (phrase(details, schema()) for details in error.errors())
        lines = [f"{dotted(place)}: {message}" for place, message in said]
        raise BadOverride("; ".join(lines)) from None
