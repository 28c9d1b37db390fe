"""What the tests of the page's API ask with."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
from conftest import Proxy
from pydantic import TypeAdapter

from unabridged.proxy import page_answers

KEY = "admin-" + "k" * 40
GUARDED = {"UNABRIDGED_ADMIN_KEY": KEY}
FAKE = {"compressor": "extractive", "min_saving": 0.0, "min_tokens": 0, "deadline_ms": 30_000}
PATIENT = {"store": {"timeout_ms": 5000}}
"""For a proxy whose store may be slow, because the machine is busy with other tests."""
DOCUMENTS = "\n\n".join(
    f"Document [{n}](Title: Harbour {n}) The harbour master of port {n} wrote the tides into a "
    f"green book. Nobody had seen lighthouse {n} dark since the winter of 19{n:02}."
    for n in range(1, 13)
)
PROMPT = f"{DOCUMENTS}\n\nQuestion: Since when had nobody seen lighthouse 7 dark?"


def client(proxy: Proxy, key: str | None = None) -> httpx.Client:
    headers = {"x-unabridged-page": "1"}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    return httpx.Client(base_url=f"{proxy.root}/ui/api", headers=headers, timeout=30)


def chat(proxy: Proxy, prompt: str = PROMPT, **fields: Any) -> httpx.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}], **fields}
    return httpx.post(f"{proxy.url}/chat/completions", json=body, timeout=30)


def shaped(name: str, answer: httpx.Response) -> Any:
    """The answer, which must be 200 and of exactly the promised shape."""
    assert answer.status_code == 200, answer.text
    found = answer.json()
    shape = TypeAdapter(getattr(page_answers, name))
    assert shape.dump_python(shape.validate_python(found), mode="json") == found
    return found


def soon(look: Callable[[], Any], seconds: float = 8.0) -> Any:
    """The first result that is not empty."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
    return found
