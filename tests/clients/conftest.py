"""What a client's test knows: where the proxy is, what to ask, and what came to the upstream."""

from __future__ import annotations

import json
import os
import time
import urllib.request
import uuid
from typing import Any

import pytest

PARAGRAPHS = [
    "The Forth Bridge is a cantilever railway bridge across the Firth of Forth in Scotland.",
    "It was designed by the engineers John Fowler and Benjamin Baker.",
    "Mackerel prices rose for the third month in a row at the harbour of the town.",
    "The bakery opens at six and closes at noon on every day but Sunday.",
    "A choir of forty singers rehearses in the old customs house on Thursdays.",
    "Some visitors come for the lighthouse, which has been dark since the winter of 1947.",
    "The ferry to the islands is cancelled whenever the wind is stronger than nine.",
    "Nobody knows who painted the green door of the tide office.",
]
SENTENCE = "The Forth Bridge was designed by Fowler and Baker."


NO_DIGITS = str.maketrans("0123456789", "ghijklmnop")
"""A digit in a question would ask for the document of that number."""


class Ask:
    """One request of a test: `text` is the prompt, `came()` what the upstream saw of it."""

    def __init__(self) -> None:
        self.url = os.environ["UNABRIDGED_TEST_URL"]
        self.key = os.environ["UNABRIDGED_TEST_KEY"]
        self.poor_key = os.environ["UNABRIDGED_TEST_POOR_KEY"]
        self.mark = uuid.uuid4().hex[:10].translate(NO_DIGITS)

    def text(self, case: str = "say") -> str:
        """A prompt with documents to cut and a question that says what should happen."""
        documents = "\n".join(
            f"Document [{n}](Title: Notes {n}) {text}" for n, text in enumerate(PARAGRAPHS, 1)
        )
        return f"{documents}\n\nQuestion: Who designed the Forth Bridge? (case {case}/{self.mark})"

    def seen(self) -> dict[str, Any]:
        url = f"{os.environ['UNABRIDGED_TEST_UPSTREAM']}/seen/{self.mark}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return dict(json.load(answer))

    def came(self) -> list[dict[str, Any]]:
        """The requests of this test that reached the upstream."""
        return list(self.seen()["requests"])

    def shortened(self) -> bool:
        """True if fewer words went on than were written, and the question whole."""
        body = json.dumps(self.came()[-1]["body"])
        assert f"(case say/{self.mark})" in body, body
        assert "Fowler and" in body
        return self.is_cut(body)

    def is_cut(self, body: str) -> bool:
        """True if paragraphs are missing. Which one fills the budget depends on the mark."""
        return not all(paragraph in body for paragraph in PARAGRAPHS)

    def was_left(self, seconds: float = 5.0) -> bool:
        """True if the upstream saw the client go in the middle of an answer."""
        end = time.monotonic() + seconds
        while not self.seen()["left"]:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True


@pytest.fixture
def ask() -> Ask:
    return Ask()
