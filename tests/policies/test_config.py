"""The configuration is valid by being there."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from unabridged.policies.config import Config, Route, Store, Upstream
from unabridged.policies.policy import Policy


def test_a_route_to_a_policy_that_is_not_there_cannot_be_made() -> None:
    with pytest.raises(ValidationError, match="unknown policy 'rag' in routes; known: auto"):
        Config(
            upstreams={"default": Upstream(url="https://x")},
            routes=(Route(policy="rag"),),
            policies={"auto": Policy()},
        )


def test_a_route_to_an_upstream_that_is_not_there_cannot_be_made() -> None:
    with pytest.raises(ValidationError, match="unknown upstream 'b' in routes; known: default"):
        Config(
            upstreams={"default": Upstream(url="https://x")},
            routes=(Route(upstream="b"),),
            policies={"auto": Policy()},
        )


@pytest.mark.parametrize("url", ["x", "ftp://x", "https://x?y", "https://x#y", "https:///v1", ""])
def test_an_upstream_is_a_plain_web_address(url: str) -> None:
    with pytest.raises(ValidationError):
        Upstream(url=url)


@pytest.mark.parametrize("url", ["redis://h", "rediss://u:p@h:1/0", "unix:///run/x.sock", None])
def test_a_store_is_reached_as_redis_clients_do(url: str | None) -> None:
    assert Store(url=url).url == url


def test_nothing_can_be_changed_afterwards() -> None:
    upstream = Upstream(url="https://x")
    with pytest.raises(ValidationError):
        upstream.url = "https://y"  # type: ignore[misc]
