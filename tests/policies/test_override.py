"""Flags and environment change the configuration, within its limits."""

from __future__ import annotations

from typing import Any

import pytest

from unabridged.policies.config import Config, Route, Upstream
from unabridged.policies.override import BadOverride, override
from unabridged.policies.policy import Policy

CONFIG = Config(
    upstreams={
        "default": Upstream(url="https://a/v1", connect_seconds=2),
        "other": Upstream(url="https://b/v1"),
    },
    routes=(Route(name="x", policy="fast", upstream="other"), Route(policy="auto")),
    policies={"auto": Policy(), "fast": Policy(rate=0.5), "off": Policy(compressor="off")},
)


def test_nothing_given_changes_nothing() -> None:
    assert override(CONFIG) == CONFIG


def test_each_value_goes_to_its_place_and_nowhere_else() -> None:
    changed = override(
        CONFIG,
        upstream="http://localhost:1/v1",
        policy="off",
        host="::1",
        port=0,
        keys_file="keys.yaml",
        store_url="redis://cache",
    )
    assert changed.upstreams["default"] == Upstream(url="http://localhost:1/v1", connect_seconds=2)
    assert changed.upstreams["other"] == CONFIG.upstreams["other"]
    assert [(r.name, r.policy, r.upstream) for r in changed.routes] == [
        ("x", "off", "other"),
        ("", "off", "default"),
    ]
    assert (changed.server.host, changed.server.port) == ("::1", 0)
    assert changed.server.keys_file == "keys.yaml"
    assert changed.store.url == "redis://cache"
    assert changed.policies == CONFIG.policies


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"upstream": "localhost"}, "upstreams.default.url: must look like https://"),
        ({"policy": "fst"}, "unknown policy 'fst'; did you mean 'fast'?"),
        ({"port": 70_000}, "server.port: must be a whole number >= 0 and <= 65535, not 70000"),
        ({"store_url": "cache:6379"}, "store.url: must look like redis://localhost:6379/0"),
    ],
)
def test_a_value_out_of_bounds_is_named_with_its_limit(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadOverride) as caught:
        override(CONFIG, **given)
    assert str(caught.value).startswith(said)
