"""What an upstream sees of a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from unabridged.proxy.destination import Destination
from unabridged.proxy.upstream import Answer, Call


class Remembering:
    """An Upstream that remembers what it was sent."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def send(self, call: Call) -> Answer:
        self.calls.append(call)
        return Answer(status=200, headers=[], body=b"")

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Any]:
        self.calls.append(call)
        yield None


def seen(call: Call, **more: Any) -> dict[bytes, bytes]:
    upstream = Remembering()
    given = {"key": None, "key_header": b"authorization", "own_keys": lambda: False, **more}
    asyncio.run(Destination(name="d", upstream=upstream, host=b"h", **given).send(call))
    return dict(upstream.calls[0].headers)


def call(body: Any = b"{}", **more: Any) -> Call:
    headers = [(b"content-length", b"99"), (b"authorization", b"Bearer mine")]
    return Call(method="POST", target=b"/x", headers=headers, body=body, **more)


def test_a_rewritten_body_has_its_own_length_and_any_other_keeps_it() -> None:
    assert seen(call(rewritten=True))[b"content-length"] == b"2"
    assert seen(call())[b"content-length"] == b"99"


def test_a_body_of_unknown_length_is_sent_in_chunks() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b""

    streamed = Call(method="POST", target=b"/x", headers=[], body=pieces())
    assert seen(streamed)[b"transfer-encoding"] == b"chunked"


def test_the_operators_key_takes_the_place_of_the_callers() -> None:
    assert seen(call(), key="op")[b"authorization"] == b"Bearer op"
    found = seen(call(), key="op", key_header=b"api-key")
    assert found[b"api-key"] == b"op"
    assert b"authorization" not in found
