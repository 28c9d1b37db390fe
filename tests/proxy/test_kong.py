"""What Kong's plugin asks for, in its own names."""

from __future__ import annotations

from typing import Any

import pytest

from unabridged.policies.asked import BadAsk
from unabridged.proxy.kong import KongWish


@pytest.mark.parametrize(
    ("said", "share", "tokens"),
    [
        ({"compressor_type": "rate", "value": 0.3}, 0.3, None),
        ({"compressor_type": "target_token", "value": 150}, None, 150),
        ({"rate": 0.4}, 0.4, None),
        ({"target_token": 99, "rate": 0.4}, None, 99),
        ({}, None, None),
    ],
)
def test_a_target_is_a_rate_or_a_number_of_tokens(
    said: dict[str, Any], share: float | None, tokens: int | None
) -> None:
    wish = KongWish.parse({"prompt": "x", **said})
    assert (wish.share, wish.tokens) == (share, tokens)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"prompt": 1},
        {"prompt": "x", "value": 2},
        {"text": "x", "compressor_type": "y"},
        {"text": "x", "compressor_type": "target_token", "value": float("inf")},
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(BadAsk):
        KongWish.parse(said)


def test_only_what_is_tagged_is_shortened_and_the_tags_go() -> None:
    text = "Keep. <LLMLINGUA>long</LLMLINGUA> <llmlingua compress=False>b</llmlingua> end"
    parts = KongWish.parse({"text": text}).parts()
    assert parts == [("Keep. ", False), ("long", True), (" ", False), ("b", False), (" end", False)]
    assert KongWish.parse({"text": "all"}).parts() == [("all", True)]
