"""Several upstreams for one route, over real sockets."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Proxy, serving
from fake_upstream import Cut, FakeUpstream, Hang, Reply, answer, completion, delta, events

from unabridged.policies.choose import Facts, choose
from unabridged.policies.config import Config
from unabridged.proxy.fallback import Fleet, Health

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}
DOWN = answer(b'{"error": {"message": "no"}}', status=503)


@pytest.fixture
def other() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        running.reply(completion("from the other"))
        yield running


@pytest.fixture
def both(
    upstream: FakeUpstream, other: FakeUpstream, tmp_path: Path, no_models: Path
) -> Iterator[Callable[..., Proxy]]:
    """A proxy with two upstreams; `first` sets more of the first one, `route` of the route."""
    running: list[Any] = []

    def start(
        first: Any = None, route: Any = None, policy: Any = None, policies: Any = None
    ) -> Proxy:
        config = Config.model_validate(
            {
                "upstreams": {
                    "one": {"url": upstream.url, "failures": 2, **(first or {})},
                    "two": {"url": other.url},
                },
                "routes": [
                    {"policy": "p", "upstream": "one", "fallbacks": ["two"], **(route or {})}
                ],
                "policies": {"p": {"compressor": "off", **(policy or {})}, **(policies or {})},
                "server": {"port": 0, "grace_seconds": 5},
            }
        )
        context = serving(config, tmp_path / "state", models=no_models, environment={"K": "key-2"})
        running.append(context)
        return context.__enter__()

    yield start
    for context in running:
        context.__exit__(None, None, None)


def ask(proxy: Proxy, **headers: str) -> httpx.Response:
    return httpx.post(proxy.url + "/chat/completions", json=BODY, headers=headers, timeout=20)


def text(got: httpx.Response) -> str:
    return str(got.json()["choices"][0]["message"]["content"])


@pytest.mark.parametrize(
    "failure", [DOWN, Reply(before=[Cut]), Reply(before=[Hang])], ids=["503", "cut", "silent"]
)
def test_the_next_is_asked_when_one_fails_before_its_first_byte(
    upstream: FakeUpstream, other: FakeUpstream, both: Callable[..., Proxy], failure: Reply
) -> None:
    upstream.reply(failure)
    proxy = both({"first_byte_seconds": 0.3})
    assert text(ask(proxy)) == "from the other"
    assert other.seen[0].body == upstream.seen[0].body
    assert proxy.receipt().upstream == "two"


def test_one_that_cannot_be_reached_is_passed_over_for_a_while_and_then_tried_again(
    upstream: FakeUpstream, both: Callable[..., Proxy]
) -> None:
    upstream.reply(DOWN)
    proxy = both({"cooldown_seconds": 60})
    for _ in range(4):
        assert text(ask(proxy)) == "from the other"
    assert len(upstream.seen) == 2
    proxy.app.exchange.upstreams.health.clock = lambda: time.monotonic() + 61
    upstream.reply(completion("well again"))
    assert text(ask(proxy)) == "well again"


def test_the_last_ones_answer_reaches_the_client_as_it_is(
    upstream: FakeUpstream, other: FakeUpstream, both: Callable[..., Proxy]
) -> None:
    upstream.reply(DOWN)
    other.reply(answer(b'{"error": {"message": "slow down"}}', status=429))
    got = ask(both())
    assert (got.status_code, got.json()["error"]["message"]) == (429, "slow down")


def test_an_error_that_is_the_callers_own_is_not_tried_elsewhere(
    upstream: FakeUpstream, other: FakeUpstream, both: Callable[..., Proxy]
) -> None:
    upstream.reply(answer(b"{}", status=400))
    assert ask(both()).status_code == 400
    assert other.seen == []


def test_nothing_is_asked_again_once_an_answer_has_begun(
    upstream: FakeUpstream, other: FakeUpstream, both: Callable[..., Proxy]
) -> None:
    upstream.reply(events(delta("begun"), 0.05, Cut))
    got = ask(both())
    assert "begun" in got.text
    assert "upstream_unreachable" in got.text
    assert other.seen == []


def test_a_caller_chooses_by_name_where_it_may_and_never_by_url(
    both: Callable[..., Proxy], upstream: FakeUpstream
) -> None:
    closed = both()
    assert ask(closed, **{"x-unabridged-upstream": "two"}).status_code == 403
    proxy = both(policy={"allow": ["upstream"]})
    assert text(ask(proxy, **{"x-unabridged-upstream": "two"})) == "from the other"
    for name in ("three", "http://127.0.0.1:1/v1"):
        got = ask(proxy, **{"x-unabridged-upstream": name})
        assert (got.status_code, got.json()["error"]["code"]) == (400, "bad_override")
    assert upstream.seen == []


@pytest.mark.parametrize("path", ["/chat/completions", "/embeddings"])
def test_a_policy_that_a_key_is_held_to_says_where_it_may_go_on_every_path(
    both: Callable[..., Proxy], other: FakeUpstream, path: str
) -> None:
    strict = {"compressor": "off", "allow": []}
    proxy = both(policy={"allow": ["upstream"]}, policies={"strict": strict})
    ring = proxy.app.callers._ring
    secret, _ = ring.create(name="a", org="acme", now_ms=1, policy="strict")
    ring.refresh()
    headers = {"authorization": f"Bearer {secret}", "x-unabridged-upstream": "two"}
    got = httpx.post(proxy.url + path, json={"model": "m", "input": "x"}, headers=headers)
    assert (got.status_code, got.json()["error"]["code"]) == (403, "override_not_allowed")
    assert other.seen == []


def test_each_upstream_gets_its_own_host_and_key_and_no_others(
    upstream: FakeUpstream, other: FakeUpstream, both: Callable[..., Proxy]
) -> None:
    upstream.reply(DOWN)
    proxy = both({"api_key_env": "K", "api_key_header": "x-api-key"})
    ask(proxy, authorization="Bearer mine")
    first, second = upstream.seen[0], other.seen[0]
    assert (first.header("x-api-key"), first.header("authorization")) == ("key-2", None)
    assert (second.header("x-api-key"), second.header("authorization")) == (None, "Bearer mine")
    assert first.header("host") != second.header("host")


def test_an_upload_goes_to_the_first_alone_as_it_can_be_sent_but_once(
    upstream: FakeUpstream, other: FakeUpstream, both: Callable[..., Proxy]
) -> None:
    upstream.reply(DOWN)
    got = httpx.post(both().url + "/files", content=(b"x" * 1000 for _ in range(5)))
    assert got.status_code == 503
    assert len(upstream.seen[0].body) == 5000
    assert other.seen == []


def test_what_one_upstream_has_taken_is_told_though_the_next_cannot_be_reached(
    upstream: FakeUpstream, tmp_path: Path, no_models: Path
) -> None:
    """It may be charged by the first one; that the other got nothing says nothing of it."""
    upstream.reply(Reply(before=[Hang]))
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        config = Config.model_validate(
            {
                "upstreams": {
                    "one": {"url": upstream.url, "first_byte_seconds": 0.2},
                    "two": {"url": f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"},
                },
                "routes": [{"policy": "off", "upstream": "one", "fallbacks": ["two"]}],
                "policies": {"off": {"compressor": "off"}},
                "server": {"port": 0},
            }
        )
        with serving(config, tmp_path / "s", models=no_models, environment={}) as proxy:
            got = ask(proxy)
    assert (got.status_code, got.json()["error"]["code"]) == (504, "upstream_timeout")
    assert "'one'" in got.json()["error"]["message"]


def test_one_request_alone_tries_an_upstream_whose_time_is_over() -> None:
    config = Config.model_validate(
        {
            "upstreams": {n: {"url": "http://h/v1", "cooldown_seconds": 30} for n in ("a", "b")},
            "routes": [{"policy": "off", "upstream": "a", "fallbacks": ["b"]}],
            "policies": {"off": {"compressor": "off"}},
        }
    )
    now = [0.0]
    health = Health(settings=config.upstreams, clock=lambda: now[0])
    members: Any = {name: object() for name in "ab"}
    fleet = Fleet(members=members, health=health)
    choice = choose(config, Facts(path="/v1/chat/completions"))

    def firsts(count: int) -> str:
        return "".join(fleet.line(choice).members[0][0] for _ in range(count))

    for _ in range(config.upstreams["a"].failures):
        health.failed("a")
    assert firsts(2) == "bb"
    now[0] = 31
    assert firsts(4) == "abbb"
    health.worked("a")
    assert firsts(2) == "aa"


def test_weights_share_the_first_requests_among_those_that_are_well() -> None:
    config = Config.model_validate(
        {
            "upstreams": {name: {"url": "http://h/v1", "failures": 1} for name in "abc"},
            "routes": [
                {"policy": "off", "upstream": "a", "fallbacks": ["b", "c"],
                 "weights": {"a": 3, "b": 1}}
            ],
            "policies": {"off": {"compressor": "off"}},
        }
    )  # fmt: skip
    draws = iter([n / 100 for n in range(100)] * 2)
    health = Health(settings=config.upstreams, clock=lambda: 0.0)
    members: Any = {name: object() for name in "abc"}
    fleet = Fleet(members=members, health=health, draw=lambda: next(draws))
    choice = choose(config, Facts(path="/v1/chat/completions"))
    lines = [[name for name, _ in fleet.line(choice).members] for _ in range(100)]
    assert Counter(line[0] for line in lines) == {"a": 75, "b": 25}
    assert ["b", "a", "c"] in lines
    health.failed("a")
    orders = {tuple(name for name, _ in fleet.line(choice).members) for _ in range(100)}
    assert orders == {("b", "c", "a")}


def test_an_upstream_that_nobody_listens_at_is_a_failure_like_any_other(
    other: FakeUpstream, tmp_path: Path, no_models: Path
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        config = Config.model_validate(
            {
                "upstreams": {"one": {"url": url}, "two": {"url": other.url}},
                "routes": [{"policy": "off", "upstream": "one", "fallbacks": ["two"]}],
                "policies": {"off": {"compressor": "off"}},
                "server": {"port": 0},
            }
        )
        with serving(config, tmp_path / "s", models=no_models, environment={}) as proxy:
            assert text(ask(proxy)) == "from the other"
