"""The first route that fits decides."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.policies.choose import Facts, choose
from unabridged.policies.config import Config, Match, Route, Upstream
from unabridged.policies.policy import Policy

CHAT = "/v1/chat/completions"


def config(*routes: Route, upstreams: tuple[str, ...] = ("default", "azure")) -> Config:
    return Config(
        upstreams={name: Upstream(url=f"https://{name}/v1") for name in upstreams},
        routes=routes,
        policies={"auto": Policy(), "rag": Policy(rate=0.25), "off": Policy(compressor="off")},
    )


def test_the_first_route_that_fits_wins_and_says_why() -> None:
    rag = Route(name="rag", match=Match(model="gpt-4o*"), policy="rag", upstream="azure")
    cfg = config(Route(match=Match(path="/v1/embeddings")), rag, Route())
    choice = choose(cfg, Facts(path=CHAT, model="gpt-4o-mini"))
    assert choice.why == "route 2 'rag': model matches 'gpt-4o*'"
    assert (choice.route, choice.policy_name, choice.upstream_name) == ("rag", "rag", "azure")
    assert choice.policy.rate == 0.25
    assert choice.upstream.url == "https://azure/v1"
    assert choose(cfg, Facts(path=CHAT, model="o3")).why == "route 3: fits every request"


def test_what_no_route_fits_passes_through_unchanged() -> None:
    choice = choose(config(Route(match=Match(team="x"))), Facts(path=CHAT))
    assert (choice.policy_name, choice.policy.compressor) == ("off", "off")
    assert choice.upstream_name == "default"
    assert "no route fits" in choice.why


def test_without_an_upstream_named_default_the_first_one_takes_what_no_route_fits() -> None:
    cfg = config(upstreams=("one", "two"))
    assert choose(cfg, Facts(path=CHAT)).upstream_name == "one"


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"path": CHAT}, True),
        ({"path": "/v1/*"}, True),
        ({"path": "/v2/*"}, False),
        ({"model": "GPT-4O"}, False),
        ({"headers": {"X-App": "search-*"}}, True),
        ({"headers": {"x-app": "SEARCH-*"}}, False),
        ({"headers": {"x-other": "*"}}, False),
        ({"team": "research", "key": "ci-*"}, True),
        ({"team": "research", "key": "dev-*"}, False),
        ({}, True),
    ],
)
def test_all_that_a_match_names_must_fit(match: dict[str, Any], fits: bool) -> None:
    cfg = config(Route(name="it", match=Match(**match)))
    facts = Facts(
        path=CHAT, model="gpt-4o", headers={"x-APP": "search-1"}, team="research", key="ci-7"
    )
    assert (choose(cfg, facts).route == "it") is fits


def test_a_team_is_asked_for_but_the_request_has_none() -> None:
    assert choose(config(Route(match=Match(team="*"))), Facts(path=CHAT)).route == ""


@given(
    st.lists(st.sampled_from(["a*", "*b", "a?", "c", "*"]), max_size=5), st.text("abc", max_size=3)
)
def test_no_earlier_route_fits_than_the_one_chosen(globs: list[str], model: str) -> None:
    cfg = config(*(Route(match=Match(model=glob)) for glob in globs))
    fitting = [n for n, glob in enumerate(globs, 1) if fnmatch.fnmatchcase(model, glob)]
    chosen = choose(cfg, Facts(path=CHAT, model=model)).route
    assert chosen == (str(fitting[0]) if fitting else "")
