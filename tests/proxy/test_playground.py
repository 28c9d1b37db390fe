"""A trial shows every word, its score where there is one, tokens and price, and sends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from page_client import PROMPT

from unabridged.compression.scorer import TokenScores
from unabridged.compression.tokens import counter
from unabridged.policies.policy import Perplexity, Policy
from unabridged.proxy.admin import BadCall, NotPossible
from unabridged.proxy.page_answers import Trial, TrialResult
from unabridged.proxy.playground import SURPRISE, Models, Playground
from unabridged.proxy.price import load_prices


class Letters:
    """A scorer whose tokens are characters; the later in the alphabet, the more surprising."""

    revision = "letters"

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        return [
            TokenScores(
                spans=np.array([(i, i + 1) for i in range(len(text))], dtype=np.int32),
                scores=np.array([ord(c) % 97 / 10 for c in text], dtype=np.float32),
            )
            for text in texts
        ]


def playground(scorer: object = None, reranker: object = None) -> Playground:
    return Playground(
        models=Models(
            scorer=lambda policy: (lambda: scorer) if scorer else None,  # type: ignore[arg-type, return-value]
            encoder=lambda policy: lambda: None,
            classifier=lambda policy, wrap: lambda: None,
            reranker=lambda policy: lambda: reranker,  # type: ignore[arg-type, return-value]
        ),
        counter=counter,
        prices=load_prices(),
    )


def run(trial: Trial, scorer: object = None) -> TrialResult:
    return asyncio.run(playground(scorer).test(trial)).result


def test_words_tell_what_was_kept_to_the_letter() -> None:
    found = run(Trial(text=PROMPT, compressor="extractive", rate=0.3, model="gpt-4o"))
    for segment in found["segments"]:
        kept = {i for a, b in segment["kept"] for i in range(a, b)}
        for word in segment["words"]:
            assert segment["text"][word["start"] : word["end"]].strip()
            assert word["kept"] == (word["start"] in kept)
            assert word["score"] is None
    assert found["scored"] == ""
    assert found["tokens_after"] < found["tokens_before"] / 2
    assert sum(s["got"] for s in found["segments"]) == found["tokens_after"]
    assert found["nano_usd_before"] and found["nano_usd_after"]
    assert found["nano_usd_after"] < found["nano_usd_before"]


def test_scores_are_ranks_of_the_words_that_the_model_read() -> None:
    text = "aaa bbb zzz. " * 40
    found = run(Trial(text=text, compressor="llmlingua", rate=0.5), Letters())
    assert found["scored"] == SURPRISE
    scores = {
        found["segments"][0]["text"][w["start"] : w["end"]]: w["score"]
        for w in found["segments"][0]["words"]
        if w["score"] is not None
    }
    assert 0 <= scores["aaa"] <= scores["bbb"] <= scores["zzz"] <= 1


def test_a_body_is_taken_for_one_and_its_model_is_priced() -> None:
    body = '{"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}'
    found = run(Trial(text=body, compressor="extractive"))
    assert (found["is_body"], found["model"]) == (True, "gpt-4o")
    assert run(Trial(text="hello", compressor="off"))["nano_usd_before"] is None


@pytest.mark.parametrize("trial", [{"compressor": "nix"}, {"compressor": "llmlingua2x"}])
def test_an_unknown_compressor_is_named(trial: dict[str, str]) -> None:
    with pytest.raises(BadCall, match="unknown compressor"):
        run(Trial(text="x", **trial))


class Ends:
    """A Reranker that likes passages which end late."""

    revision = "ends"

    def scores(self, question: str, passages: Sequence[str], checkpoint: object = None) -> object:
        return np.arange(len(passages), dtype=float)


def test_a_policy_is_tried_with_its_reranker() -> None:
    text = "\n\n".join(f"Document [{i}] The book lay in room {i} for years." for i in range(1, 5))
    how = Perplexity(rank="cross-encoder")
    policy = Policy(
        compressor="longllmlingua",
        rate=0.5,
        reranker="path:/models/r",
        perplexity=how,
        min_tokens=0,
    )
    tried = asyncio.run(
        playground(Letters(), Ends()).run(text, policy, model="gpt-4o", question="Where?")
    )
    assert any("ranking by cross-encoder" in s["reason"] for s in tried.result["segments"])


def test_a_model_that_is_not_there_is_said() -> None:
    with pytest.raises(NotPossible, match="NoScorer"):
        run(Trial(text=PROMPT, compressor="llmlingua", rate=0.2))
    assert "llmlingua" not in playground().compressors()
    assert "llmlingua" in playground(Letters()).compressors()
