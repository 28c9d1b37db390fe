"""What is tried on the page is what the proxy would do, and what is wrong is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Proxy
from fake_upstream import FakeUpstream
from page_client import FAKE, PATIENT, PROMPT, chat, client, shaped, soon

ROUTES = [
    {"name": "rag", "match": {"model": "gpt-4o*", "team": "research"}, "policy": "fake"},
    {"name": "rest", "policy": "off"},
]


@pytest.fixture
def proxy(serve: Callable[..., Proxy], upstream: FakeUpstream) -> Proxy:
    return serve(routes=ROUTES)


def test_a_trial_is_compressed_and_nothing_is_sent(proxy: Proxy, upstream: FakeUpstream) -> None:
    with client(proxy) as page:
        trial = {"text": PROMPT, "compressor": "extractive", "rate": 0.3}
        found = shaped("TrialResult", page.post("/playground/compress", json=trial))
        assert found["tokens_after"] < found["tokens_before"]
        wrong = page.post("/playground/compress", json={**trial, "rate": 3})
        assert wrong.status_code == 400
        assert "rate" in wrong.json()["error"]["message"]


def test_policies_are_told_as_they_are_understood(proxy: Proxy) -> None:
    with client(proxy) as page:
        found = shaped("Policies", page.get("/policies"))
    assert [(r["name"], r["matches"]) for r in found["routes"]] == [
        ("rag", ["model gpt-4o*", "team research"]),
        ("rest", []),
    ]
    fake = next(p for p in found["policies"] if p["name"] == "fake")
    assert (fake["compressor"], fake["routes"]) == ("extractive", ["rag"])
    assert "compressor: extractive" in fake["yaml"]
    assert found["upstreams"][0]["key"] == "caller's"
    assert "extractive" in found["compressors"]


def test_every_route_is_held_against_a_pasted_request(proxy: Proxy) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": PROMPT}]}
    with client(proxy) as page:
        asked = {"body": json.dumps(body), "team": "research"}
        found = shaped("Explained", page.post("/explain", json=asked))
        assert (found["route"], found["policy"]) == ("rag", "fake")
        assert found["trial"]["tokens_after"] < found["trial"]["tokens_before"]
        found = shaped("Explained", page.post("/explain", json={"body": json.dumps(body)}))
        assert found["tries"][0] == {
            "route": "rag", "fits": False, "chosen": False, "why": "there is no team",
        }  # fmt: skip
        assert found["tries"][1]["chosen"]
        wrong = page.post("/explain", json={"body": "no json"})
        assert (wrong.status_code, "not JSON" in wrong.text) == (400, True)


def test_a_changed_policy_is_tried_on_the_last_requests(
    serve: Callable[..., Proxy], upstream: FakeUpstream
) -> None:
    proxy = serve(policies={"fake": FAKE}, **PATIENT)
    chat(proxy)
    with client(proxy) as page:

        def tried() -> Any:
            asked = {"policy": "compressor: extractive\nrate: 0.2\nmin_tokens: 0\n"}
            found = shaped("DryRun", page.post("/dryrun", json=asked))
            return found if found["rows"] else None

        found = soon(tried)
        assert found["rows"][0]["how"] == "reckoned"
        assert found["policy"] == "extractive, rate 0.2"
        for wrong, said in (
            ({"policy": "compresor: x"}, "compresor"),
            ({"policy": "rate: 3"}, "rate"),
            ({"policy": "compressor: nix"}, "unknown compressor"),
            ({"policy": "- a"}, "must be a mapping"),
            ({"policy": "", "instead_of": "nix"}, "unknown policy"),
        ):
            answer = page.post("/dryrun", json=wrong)
            assert (answer.status_code, said in answer.text) == (400, True), answer.text
