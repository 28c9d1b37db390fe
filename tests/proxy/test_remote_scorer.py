"""A scorer on another machine: a real socket, and a small real model behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_models import FakeModels

from unabridged.compression.causal_lm import CausalScorer
from unabridged.compression.job import Job
from unabridged.compression.kept import extract
from unabridged.compression.longllmlingua import longllmlingua
from unabridged.compression.prompt import Segment, Where
from unabridged.policies.policy import Completions, Policy
from unabridged.proxy.prompt_tokens import NoPromptTokens
from unabridged.proxy.remote_scorer import START, RemoteScorer, ScorerDown

TEXTS = [
    "The tide came in.",
    "등대지기는 저녁 등불을 켰다 👩‍👩‍👧 港",
    "",
    "a\r\nb\t<|im_end|> c",
    "The harbour master wrote the tides of every month into a book with a green cover.",
]


class Served:
    """A completions server on a small causal model: `told` decides the shape of its answers."""

    def __init__(self, scorer: CausalScorer, told: str) -> None:
        self.scorer, self.told = scorer, told
        self.failures: list[int] = []

    def __call__(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if self.failures:
            return self.failures.pop(), {"error": {"message": "busy"}}
        prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
        return 200, {"choices": [self.choice(i, p) for i, p in enumerate(prompts)][::-1]}

    def choice(self, index: int, prompt: str) -> dict[str, Any]:
        [found] = self.scorer.score([prompt])
        starts = found.spans[:, 0].tolist()
        ids = self.scorer._tokenizer.encode(prompt, add_special_tokens=False).ids
        texts = [self.scorer._tokenizer.decode([i], skip_special_tokens=False) for i in ids]
        values = [None, *(-float(x) for x in found.scores[1:])]
        if self.told == "prompt_logprobs":
            entries = [
                {"7": {"logprob": v, "rank": 1, "decoded_token": t}}
                for t, v in zip(texts, values, strict=True)
            ]
            return {"index": index, "text": "x", "prompt_logprobs": [None, *entries[1:]]}
        logprobs = {
            "tokens": [*texts, " more"],
            "token_logprobs": [*values, -0.1],
            "text_offset": [*starts, len(prompt)],
        }
        return {"index": index, "text": f"{prompt} more", "logprobs": logprobs}


@pytest.fixture(scope="module")
def local(tiny_causal_lm: Path) -> CausalScorer:
    return CausalScorer(tiny_causal_lm, threads=1)


def settings(server: FakeModels, **how: Any) -> Completions:
    return Completions(url=f"{server.url}/v1", model="tiny", **how)


@pytest.mark.parametrize("told", ["prompt_logprobs", "echo"])
@pytest.mark.parametrize("batch", [1, 3])
def test_its_scores_are_those_of_the_model_behind_it(
    local: CausalScorer, told: Any, batch: int
) -> None:
    with FakeModels(Served(local, told)) as server:
        remote = RemoteScorer(settings(server, ask=told, batch=batch))
        found = remote.score(TEXTS)
        behind = remote.score(TEXTS[:1], ["The harbour master said: "])
    for text, ours in zip(TEXTS, found, strict=True):
        covered = {i for a, b in ours.spans.tolist() for i in range(a, b)}
        assert covered == set(range(len(text)))
        # A server cannot show pieces of a character: they share it with their neighbours.
        if text.isascii() and "\n" not in text:
            [plain] = local.score([text], [START])
            assert ours.spans.tolist() == plain.spans.tolist()
            assert ours.scores == pytest.approx(plain.scores, abs=2e-3)
    [plain] = local.score(TEXTS[:1], ["The harbour master said: "])
    assert behind[0].scores == pytest.approx(plain.scores, abs=2e-3)
    path, body = server.asked[0]
    assert path == "/v1/completions"
    assert body["model"] == "tiny"
    assert ("prompt_logprobs" in body) is (told == "prompt_logprobs")
    assert isinstance(body["prompt"], str) is (batch == 1)


def test_a_text_beyond_the_window_is_scored_in_windows_that_overlap(local: CausalScorer) -> None:
    with FakeModels(Served(local, "echo")) as server:
        remote = RemoteScorer(settings(server, ask="echo", window=200))
        text = TEXTS[4] * 8
        [found] = remote.score([text])
    prompts = [p for _, body in server.asked for p in body["prompt"]]
    assert len(prompts) > 3
    assert all(len(prompt) <= 200 for prompt in prompts)
    assert prompts[0][-50:] in prompts[1]
    covered = {i for a, b in found.spans.tolist() for i in range(a, b)}
    assert covered == set(range(len(text)))


def test_a_busy_server_is_asked_again_and_a_refusal_is_not(local: CausalScorer) -> None:
    served = Served(local, "echo")
    with FakeModels(served) as server:
        remote = RemoteScorer(settings(server, ask="echo", retries=2))
        served.failures = [429, 503]
        assert len(remote.score(["The tide"])[0].scores) > 0
        assert len(server.asked) == 3
        served.failures = [500, 500, 500]
        with pytest.raises(ScorerDown, match="status 500"):
            remote.score(["The tide"])
        served.failures = [404]
        with pytest.raises(ScorerDown, match="status 404; check scorer"):
            remote.score(["The tide"])
        assert len(server.asked) == 7


def test_a_server_that_is_away_too_slow_or_tells_nothing_is_named_without_the_text() -> None:
    with pytest.raises(ScorerDown, match=r"tiny at http://127\.0\.0\.1:9/v1 cannot") as away:
        RemoteScorer(Completions(url="http://127.0.0.1:9/v1", model="tiny", retries=0)).score(
            ["codeword"]
        )
    assert "codeword" not in str(away.value)
    for said, error in (
        ({"choices": [{"index": 0, "text": " is"}]}, NoPromptTokens),
        ({"choices": []}, NoPromptTokens),
        (b"<html>", ScorerDown),
    ):
        with FakeModels(answering(said)) as server, pytest.raises(error):
            RemoteScorer(settings(server)).score(["The tide came in."])


def answering(said: Any) -> Callable[[str, dict[str, Any]], tuple[int, Any]]:
    return lambda path, body: (200, said)


def test_the_credential_comes_from_the_environment_alone(local: CausalScorer) -> None:
    with FakeModels(Served(local, "echo")) as server:
        how = settings(server, ask="echo", api_key_env="GPU_KEY")
        with pytest.raises(ScorerDown, match="GPU_KEY is not set"):
            RemoteScorer(how, {})
        RemoteScorer(how, {"GPU_KEY": "secret"}).score(["The tide"])
    assert server.credentials == ["Bearer secret"]
    assert "secret" not in RemoteScorer(how, {"GPU_KEY": "secret"}).revision


def test_conditions_come_one_for_each_text() -> None:
    remote = RemoteScorer(Completions(url="http://127.0.0.1:9", model="m"))
    with pytest.raises(ValueError, match="1 conditions for 2 texts"):
        remote.score(["a", "b"], ["c"])


def count(text: str) -> int:
    return len(text.split())


def test_longllmlingua_meets_its_budget_with_a_fleet_as_its_scorer(local: CausalScorer) -> None:
    texts: Sequence[str] = [f"{TEXTS[4]} Number {n} was kept by Alder {n}.\n" for n in range(5)]
    segments = tuple(Segment(kind="document", text=t, where=Where(path=(), start=0)) for t in texts)
    with FakeModels(Served(local, "prompt_logprobs")) as server:
        remote = RemoteScorer(settings(server))
        job = Job(
            segments=segments,
            question="Who kept number 3?",
            tokens=30,
            count=count,
            policy=Policy(scorer=settings(server)),
            scorer=lambda: remote,
        )
        kept = longllmlingua(job).kept
    got = sum(count(extract(t, spans)) for t, spans in zip(texts, kept, strict=True))
    assert got in (29, 30)
    assert server.asked
