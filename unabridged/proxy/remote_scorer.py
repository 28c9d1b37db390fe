"""A causal model behind a completions server scores tokens: vLLM and whatever speaks like it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import numpy as np

from unabridged.compression.scorer import TokenScores
from unabridged.policies.policy import Completions
from unabridged.proxy.prompt_tokens import NoPromptTokens, Token, placed, tokens_of

START = "\n"
"""Stands in front of a text without a condition: a server tells nothing of the first token."""
DECIMALS = 3
"""As for the local models; a fleet's answers differ in the last digits from batch to batch."""
PAUSE_SECONDS = 0.2
"""Before the second attempt; twice as long before each further one."""
AGAIN = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which a request is worth another attempt."""


class ScorerDown(Exception):
    """The server could not be reached, was too slow, or refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One prompt: what is only read, then a part of a text that is scored."""

    text: int
    """Index of the text."""
    before: str
    start: int
    """Where the scored part begins in its text, in characters."""
    part: str


class RemoteScorer:
    """A Scorer on another machine. Only the operator's configuration says which."""

    def __init__(self, settings: Completions, environment: Mapping[str, str] = os.environ) -> None:
        """Raises ScorerDown if the variable that `api_key_env` names is not set. Nothing is sent
        before there is something to score."""
        self._settings = settings
        headers = {}
        if settings.api_key_env is not None:
            key = environment.get(settings.api_key_env)
            if not key:
                raise ScorerDown(
                    f"the environment variable {settings.api_key_env} is not set, which "
                    "scorer.api_key_env names"
                )
            headers["authorization"] = f"Bearer {key}"
        self._client = httpx2.Client(
            headers=headers,
            timeout=httpx2.Timeout(settings.answer_seconds, connect=settings.connect_seconds),
        )
        self._url = settings.url.rstrip("/") + "/completions"

    @property
    def revision(self) -> str:
        """Hash of where the scores come from, and how they are asked for."""
        s = self._settings
        named = f"{s.url} {s.model} {s.ask} {s.window} {DECIMALS}"
        return f"remote-{hashlib.sha256(named.encode()).hexdigest()[:16]}"

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        """Negative log-likelihood of every token of `texts`, in the server's own tokens; one
        that begins in front of a text and ends in it counts to the text.

        Raises ValueError if there are conditions, but not one for each text, ScorerDown, and
        NoPromptTokens if the server does not tell the probabilities of its prompt.
        """
        if conditions and len(conditions) != len(texts):
            raise ValueError(f"{len(conditions)} conditions for {len(texts)} texts")
        given = list(conditions) or [""] * len(texts)
        windows = [
            w for i, text in enumerate(texts) for w in self._windows(i, given[i] or START, text)
        ]
        spans: list[list[tuple[int, int]]] = [[] for _ in texts]
        scores: list[list[float]] = [[] for _ in texts]
        size = self._settings.batch
        for at in range(0, len(windows), size):
            batch = windows[at : at + size]
            for window, tokens in zip(batch, self._ask(batch), strict=True):
                for token in placed(tokens, window.before + window.part, len(window.before)):
                    spans[window.text].append(
                        (token.start + window.start, token.end + window.start)
                    )
                    scores[window.text].append(token.surprise)
        return [
            TokenScores(
                spans=np.array(ours, dtype=np.int32).reshape(-1, 2),
                scores=np.array(values).round(DECIMALS).astype(np.float32),
            )
            for ours, values in zip(spans, scores, strict=True)
        ]

    def _windows(self, index: int, condition: str, text: str) -> Iterator[Window]:
        """Parts of a text, each behind the end of the condition and a quarter of a window of what
        stands in front of it."""
        window = self._settings.window
        head = condition[-(window // 2) :]
        start = 0
        while start < len(text):
            back = min(start, window // 4)
            size = max(window - len(head) - back, 1)
            yield Window(
                text=index,
                before=head + text[start - back : start],
                start=start,
                part=text[start : start + size],
            )
            start += size

    def _ask(self, batch: Sequence[Window]) -> list[list[Token]]:
        prompts = [window.before + window.part for window in batch]
        body: dict[str, Any] = {
            "model": self._settings.model,
            "prompt": prompts[0] if self._settings.batch == 1 else prompts,
            # One token is generated and thrown away: not every server takes 0.
            "max_tokens": 1,
            "temperature": 0,
        }
        # The prompt's own tokens alone: with more, vLLM does not say which of them came.
        body |= {"prompt_logprobs": 0} if self._asks_vllm else {"echo": True, "logprobs": 1}
        choices = self._post(body).get("choices")
        if not isinstance(choices, list) or len(choices) != len(batch):
            raise NoPromptTokens(f"{self._settings} answered with another number of choices")
        in_order = sorted(choices, key=lambda choice: int(choice.get("index") or 0))
        return [tokens_of(choice, prompt) for choice, prompt in zip(in_order, prompts, strict=True)]

    @property
    def _asks_vllm(self) -> bool:
        return self._settings.ask == "prompt_logprobs"

    def _post(self, body: Mapping[str, Any]) -> dict[str, Any]:
        for attempt in range(self._settings.retries + 1):
            if attempt:
                time.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
            try:
                response = self._client.post(self._url, json=body)
            except httpx2.TransportError as error:
                said = f"cannot be reached ({type(error).__name__})"
                continue
            if response.status_code == 200:
                try:
                    found = response.json()
                except ValueError:
                    found = None
                if isinstance(found, dict):
                    return found
                raise ScorerDown(f"scorer {self._settings} answered with what is no JSON object")
            said = f"answered with status {response.status_code}"
            if response.status_code not in AGAIN:
                break
        raise ScorerDown(f"scorer {self._settings} {said}; check scorer in the policy")
