"""What a caller asks of a provider, whatever it sends."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest

from unabridged.proxy.errors import BadBody, TooLarge
from unabridged.proxy.litellm_request import asked_in, check_shape, whole
from unabridged.proxy.upstream import Call

PACKED = [(b"content-encoding", b"gzip")]


def read(raw: bytes, headers: Any = ()) -> dict[str, Any]:
    return asked_in(list(headers), raw, largest=100_000)


def test_a_body_is_opened_and_read() -> None:
    assert read(b'{"model": "m"}') == {"model": "m"}
    assert read(gzip.compress(b'{"model": "m"}'), PACKED) == {"model": "m"}


@pytest.mark.parametrize(
    "raw", [b"", b"[1]", b"\xff", b"[" * 99_000, b'{"n": ' + b"1" * 5000 + b"}"]
)
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(BadBody, match="not a JSON object"):
        read(raw)


def test_what_cannot_be_opened_or_is_too_large_is_refused() -> None:
    with pytest.raises(BadBody, match="encoding"):
        read(b"{}", [(b"content-encoding", b"x-odd")])
    with pytest.raises(TooLarge):
        read(gzip.compress(b" " * 200_000), PACKED)


def test_pieces_are_held_up_to_a_size() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 10

    def held(largest: int) -> bytes:
        call = Call(method="POST", target=b"/embeddings", headers=[], body=pieces())
        return asyncio.run(whole(call, largest=largest))

    assert held(100) == b"x" * 100
    with pytest.raises(TooLarge, match="99 bytes"):
        held(99)


def test_what_litellm_would_stumble_over_is_named() -> None:
    good = {"model": "m", "messages": [], "metadata": None, "tools": []}
    check_shape("acompletion", good)
    for wrong in ({"model": 5}, {"messages": None}, {"metadata": "x"}, {"tools": "x"}):
        with pytest.raises(BadBody, match=next(iter(wrong))):
            check_shape("acompletion", {**good, **wrong})
