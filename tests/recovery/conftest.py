"""What was cut in the sample prompt, and answers to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cut_prompts import COMPRESSED, ORIGINAL

from unabridged.recovery.index import Index


@pytest.fixture(scope="session")
def index() -> Index:
    """What was cut in the prompt."""
    return Index.of_texts(ORIGINAL, COMPRESSED)


@pytest.fixture
def answer() -> Callable[..., bytes]:
    """Writes a chat-completions answer with one choice for each message given."""

    def write(*messages: dict[str, Any], **more: Any) -> bytes:
        choices = [
            {"index": n, "message": {"role": "assistant", **m}, **more, "finish_reason": "stop"}
            for n, m in enumerate(messages)
        ]
        body = {"id": "chatcmpl-1", "created": 1, "model": "m", "choices": choices, "x": 1.50}
        return json.dumps(body).encode()

    return write
