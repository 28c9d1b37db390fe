"""A prompt that was compressed before is written again from numbers alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.body import Body, read
from unabridged.compression.compress import compress
from unabridged.compression.join import render
from unabridged.compression.plan import allot
from unabridged.compression.split import split
from unabridged.policies.policy import Policy
from unabridged.proxy.contexts import Scope
from unabridged.proxy.gate import Gate
from unabridged.proxy.plans import Whole, decode, encode, plan_key
from unabridged.proxy.prefixes import marks, measured

POLICY = Policy(compressor="extractive", min_tokens=0, min_saving=0, rate=0.5)
SCOPE = Scope(policy_version="1", tokenizer="t", scorer=lambda _: "", seconds=9)
BODY: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Answer briefly."},
        {
            "role": "user",
            "content": [
                {
                    "type": "text",
                    "text": "Document [1] Cats sleep. Dogs bark. 다리는 1890년에 열렸다.",
                },
                {"type": "text", "text": "Question: When do dogs bark?"},
            ],
        },
    ],
}


def body(**more: Any) -> Body:
    return read(json.dumps({**BODY, **more}))


def whole(of: Body) -> Whole:
    prompt = split(of.raw, POLICY)
    plan = allot(prompt, POLICY, len)
    compressed = compress(prompt, plan, POLICY, len)
    return Whole(
        compressed=compressed,
        plan=plan,
        why=plan.why,
        gate=Gate(choice="keep", tokens=3),
        marks=measured(marks(prompt, of, "m"), compressed),
    )


def test_what_is_remembered_is_what_was_computed_and_holds_no_text() -> None:
    found = whole(body())
    value = encode(found)
    segments = tuple(replace(s, why="") for s in found.compressed.prompt.segments)
    prompt = replace(found.compressed.prompt, segments=segments)
    known = decode(value, body(), None)
    assert known is not None
    assert known.compressed == replace(found.compressed, prompt=prompt)
    assert replace(known, compressed=found.compressed, plan=found.plan) == found
    asked = [found.plan.asked_of(i) for i in range(len(segments))]
    assert [known.plan.asked_of(i) for i in range(len(segments))] == asked
    assert (known.plan.asked, known.plan.counts) == (found.plan.asked, found.plan.counts)
    again = decode(value, body(temperature=0.5), None)
    assert again is not None
    assert json.loads(render(again.compressed))["temperature"] == 0.5
    for word in ("Cats", "bark", "다리"):
        assert word not in value.decode()


@pytest.mark.parametrize(
    "other, same",
    [
        ({"stream": True}, True),
        ({"temperature": 1}, True),
        ({"messages": BODY["messages"][1:]}, False),
        ({"tools": [{"type": "function"}]}, False),
        ({"prompt_cache_key": "k"}, False),
        ({"something_new": 1}, False),
    ],
    ids=str,
)
def test_the_key_is_of_all_that_may_matter(other: dict[str, Any], same: bool) -> None:
    one, two = (plan_key(b, SCOPE, "auto", None) for b in (body(), body(**other)))
    assert (one == two) is same


def test_other_rules_have_other_keys() -> None:
    keys = {
        plan_key(body(), SCOPE, "auto", None),
        plan_key(body(), SCOPE, "lossless", None),
        plan_key(body(), SCOPE, "auto", "Who?"),
        plan_key(body(), replace(SCOPE, policy_version="2"), "auto", None),
        plan_key(body(), replace(SCOPE, tokenizer="u"), "auto", None),
        plan_key(body(), replace(SCOPE, scorer=lambda _: "w"), "auto", None),
    }
    assert len(keys) == 6


@given(st.binary() | st.sampled_from([b"{}", b"[]", b"null", b"7"]))
def test_what_is_not_ours_is_compressed_anew(value: bytes) -> None:
    assert decode(value, body(), None) is None


def test_what_is_of_a_longer_text_is_compressed_anew() -> None:
    shorter = body(messages=[{"role": "user", "content": "x"}])
    assert decode(encode(whole(body())), shorter, None) is None
