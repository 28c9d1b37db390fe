"""Asks a chat model which words of a text can go: priced first, paced, each reply stored once."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unabridged.compression.distil import prompt
from unabridged.compression.tokens import counter
from unabridged.policies.config import Upstream
from unabridged.proxy.litellm_loading import load_litellm
from unabridged.proxy.price import load_prices

SHORTER = 0.6
"""What an answer has of its text's tokens, for the estimate: chat models delete less than half."""

FEMTO = 10**15
TRIES = 5


class TeacherFailed(Exception):
    """The chat model gave no answer; what it gave before is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What is still to be asked, and what it may cost."""

    requests: int
    tokens_in: int
    tokens_out: int
    dollars: float | None
    """None: the model's price is not known."""


class ChatTeacher:
    """A model behind an OpenAI-compatible upstream of the proxy's configuration, called through
    litellm."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        model: str,
        replies: Path,
        per_minute: int = 60,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`replies`: the file that remembers them, whatever happens afterwards."""
        self._upstream = upstream
        self._model = model
        self._file = replies
        self._pause = 60 / per_minute
        self._wait = wait
        self._last = float("-inf")
        self._known = _stored(replies)

    def estimate(self, texts: Sequence[str]) -> Cost:
        """For the texts whose replies are not stored yet."""
        missing = [text for text in dict.fromkeys(texts) if self._key(text) not in self._known]
        count = counter(self._model)
        tokens_in = sum(count(prompt(text)) for text in missing)
        tokens_out = int(sum(count(text) for text in missing) * SHORTER)
        price = load_prices().get(self._model, self._upstream.url)
        dollars = None
        if price is not None:
            spent = tokens_in * price.rate("input") + tokens_out * price.rate("output")
            dollars = (spent + len(missing) * price.per_request) / FEMTO
        return Cost(
            requests=len(missing), tokens_in=tokens_in, tokens_out=tokens_out, dollars=dollars
        )

    def shorten(self, text: str) -> str:
        """The text without the words that the model deletes. Raises TeacherFailed."""
        key = self._key(text)
        if key not in self._known:
            self._known[key] = self._asked(text)
            with self._file.open("a", encoding="utf-8") as file:
                line = {"key": key, "reply": self._known[key]}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return self._known[key]

    def _asked(self, text: str) -> str:
        for attempt in range(TRIES):
            self._wait(max(self._last + self._pause - time.monotonic(), 0))
            self._last = time.monotonic()
            try:
                return self._answer(text)
            except Exception as error:
                # Whatever litellm raises has a status if the server gave one.
                status = getattr(error, "status_code", None)
                if status not in (408, 409, 429, 500, 502, 503, 504) or attempt == TRIES - 1:
                    raise TeacherFailed(
                        f"{self._model} gave no answer ({type(error).__name__}, status {status}); "
                        f"what it gave before is in {self._file}: run the command again to go on"
                    ) from error
                self._wait(2.0**attempt)
        raise AssertionError

    def _answer(self, text: str) -> str:
        name = self._upstream.api_key_env
        answer = load_litellm().completion(
            model=self._model,
            custom_llm_provider="openai",
            api_base=self._upstream.url,
            api_key=(os.environ.get(name) if name else None) or "none",
            messages=[{"role": "user", "content": prompt(text)}],
            temperature=0,
            num_retries=0,
            max_retries=0,
        )
        return str(answer.choices[0].message.content or "")

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{self._model}\n{prompt(text)}".encode()).hexdigest()


def _stored(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
    return {row["key"]: row["reply"] for row in rows}
