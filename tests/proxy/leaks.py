"""Looks for what requests held in what a proxy wrote about them: words of prompts, credentials."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from fake_upstream import Seen

TEXT_KEYS = ("messages", "input", "prompt", "instructions", "system")
"""Where requests of the four surfaces hold what people wrote."""
CREDENTIALS = ("authorization", "x-api-key", "api-key", "cookie")


def leaked(requests: Iterable[Seen], lines: Iterable[str]) -> list[str]:
    """Three neighbouring words of a prompt, or a credential, that stand in the lines of a log."""
    told = {phrase for request in requests for phrase in (*phrases(request), *secrets(request))}
    written = "\n".join(json.dumps(without_model(line), ensure_ascii=False) for line in lines)
    return sorted(phrase for phrase in told if phrase in written)


def without_model(line: str) -> Any:
    """A line of the log but for the model's name, which is told as a caller writes it."""
    try:
        said = json.loads(line)
    except ValueError:
        return line
    return {key: value for key, value in said.items() if key != "model"}


def phrases(request: Seen) -> Iterator[str]:
    try:
        body = json.loads(request.body)
    except ValueError:
        return
    if not isinstance(body, dict):
        return
    for text in strings([body.get(key) for key in TEXT_KEYS]):
        words = text.split()
        for i in range(len(words) - 2):
            phrase = " ".join(words[i : i + 3])
            if len(phrase) >= 12:
                yield phrase
                yield json.dumps(phrase)[1:-1]  # as a line of JSON would have it


def secrets(request: Seen) -> Iterator[str]:
    for name in CREDENTIALS:
        last = (request.header(name) or "").rpartition(" ")[2]
        if len(last) >= 8:
            yield last


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from strings(each)
