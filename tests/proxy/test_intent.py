"""A guard gets the intent of a prompt; the upstream gets the prompt, and the log neither."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import httpx
from conftest import Proxy
from fake_upstream import DONE, FakeUpstream, completion, events

from unabridged.proxy.intent import LONGEST, intent_headers

STORY = " ".join(f"Once in a far land number {n} a grey cat slept in the sun." for n in range(40))
ASKED = "How is the vault of the harbour bank opened with an old key from 1912?"
BODY = {
    "model": "gpt-4o",
    "messages": [
        {
            "role": "user",
            "content": f"Document [1] {STORY} The vault has a key.\n\nQuestion: {ASKED}",
        }
    ],
}
POLICY = {"compressor": "extractive", "min_tokens": 0, "rate": 0.3, "intent": True}


def post(proxy: Proxy, **more: object) -> httpx.Response:
    return httpx.post(proxy.url + "/chat/completions", json={**BODY, **more}, timeout=10)


def test_the_prompt_goes_on_as_it_came_and_the_caller_hears_what_it_is_after(
    upstream: FakeUpstream, serve: Callable[..., Proxy]
) -> None:
    upstream.reply(completion("No."), events(DONE))
    proxy = serve(policies={"guard": POLICY}, policy="guard")
    got = post(proxy)
    intent = unquote(got.headers["x-unabridged-intent"])
    assert upstream.seen[0].json == BODY
    assert ASKED in intent and "vault" in intent and len(intent) < 0.5 * len(STORY)
    assert got.headers["x-unabridged-tokens-after"] == got.headers["x-unabridged-tokens-before"]
    assert unquote(post(proxy, stream=True).headers["x-unabridged-intent"]) == intent
    assert upstream.seen[1].json == {**BODY, "stream": True}


def test_neither_the_log_nor_a_receipt_nor_the_database_holds_the_intent(
    upstream: FakeUpstream, serve: Callable[..., Proxy], tmp_path: Path
) -> None:
    upstream.reply(completion("No."))
    proxy = serve(policies={"guard": POLICY}, policy="guard")
    assert "harbour" in unquote(post(proxy).headers["x-unabridged-intent"])
    receipt = proxy.receipt()
    assert "intent" in receipt.reason and "harbour" not in repr(receipt)
    time.sleep(0.5)  # the receipt's way into the database
    assert '"path": "/v1/chat/completions"' in proxy.log.getvalue()
    assert "harbour" not in proxy.log.getvalue()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and not [path for path in files if b"harbour" in path.read_bytes()]


def test_without_the_option_no_intent_is_told(
    upstream: FakeUpstream, serve: Callable[..., Proxy]
) -> None:
    upstream.reply(completion("No."))
    proxy = serve(policies={"guard": {**POLICY, "intent": False}}, policy="guard")
    assert "x-unabridged-intent" not in post(proxy).headers


def test_the_header_is_ascii_of_a_bounded_length_that_ends_behind_a_whole_character() -> None:
    assert intent_headers("") == []
    [(_, value)] = intent_headers("열쇠 50%\n" * 2000)
    assert len(value) <= LONGEST
    assert value.isascii() and b"\n" not in value
    assert ("열쇠 50%\n" * 2000).startswith(unquote(value.decode()))


def test_half_a_character_in_a_prompt_does_not_cost_the_answer(
    upstream: FakeUpstream, serve: Callable[..., Proxy]
) -> None:
    upstream.reply(completion("No."))
    proxy = serve(policies={"guard": POLICY}, policy="guard")
    content = f"Document [1] {STORY} The vault has a key.\n\nQuestion: \ud83d {ASKED}"
    body = json.dumps({**BODY, "messages": [{"role": "user", "content": content}]})
    got = httpx.post(proxy.url + "/chat/completions", content=body, timeout=10)
    assert got.json()["choices"][0]["message"]["content"] == "No."
    assert f"\ufffd {ASKED}" in unquote(got.headers["x-unabridged-intent"])
