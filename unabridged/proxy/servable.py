"""What must hold before a configuration is served."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from unabridged.policies.config import Config
from unabridged.proxy.callers import Callers


class NotServable(Exception):
    """The configuration is valid, but must or can not be served; the text says what to change."""


def check(config: Config, callers: Callers, environment: Mapping[str, str]) -> None:
    """Without keys nobody but this machine may reach the proxy, and all credentials of the operator
    must be there. Raises NotServable."""
    host = config.server.host
    if callers.open and not _is_loopback(host):
        raise NotServable(
            f"server.host {host!r} can be reached from other machines, and there"
            " are no keys: make one with `unabridged keys create`, set server.keys_file, or use"
            " 127.0.0.1"
        )
    for name in config.upstreams:
        operators_key(name, config, environment)
    for place, variable in (
        ("money.admin_key_env", config.money.admin_key_env),
        ("server.metrics_key_env", config.server.metrics_key_env),
    ):
        _sendable(environment.get(variable, ""), variable, place)


def operators_key(name: str, config: Config, environment: Mapping[str, str]) -> str | None:
    """The credential for an upstream; None: callers present their own. Raises NotServable."""
    variable = config.upstreams[name].api_key_env
    if variable is None:
        return None
    if not environment.get(variable):
        raise NotServable(
            f"the environment variable {variable} is not set, which"
            f" upstreams.{name}.api_key_env names"
        )
    _sendable(environment[variable], variable, f"upstreams.{name}.api_key_env")
    return environment[variable]


def _sendable(key: str, variable: str, place: str) -> None:
    """A key that was read from a file often ends with a line break, which no header can hold.
    Raises NotServable."""
    if any(ord(character) < 32 or ord(character) == 127 for character in key):
        raise NotServable(
            f"the environment variable {variable}, which {place} names, holds a line break or"
            " another control character"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
