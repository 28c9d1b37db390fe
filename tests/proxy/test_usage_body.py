"""A whole answer is read as it passes, and passes as it is."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.proxy.usage import Used
from unabridged.proxy.usage_body import Decoded, UsageBody

ANSWER = {
    "choices": [{"message": {"role": "assistant", "content": "Paris."}}, {"text": "b"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    "service_tier": "priority",
}
BODY = json.dumps(ANSWER).encode()


def through(seen: UsageBody | Decoded, data: bytes, size: int) -> bytes:
    out = [seen.feed(data[n : n + size]) for n in range(0, len(data), size)]
    return b"".join([*out, seen.flush()])


@given(st.integers(1, 300))
def test_usage_tier_and_words_are_read_however_it_is_chopped(size: int) -> None:
    seen = UsageBody()
    assert through(seen, BODY, size) == BODY
    assert seen.used == Used(input=12, output=3)
    assert (seen.service_tier, seen.text, seen.complete) == ("priority", "Paris.b", True)


@given(st.binary(max_size=100))
def test_what_is_no_answer_passes_and_tells_nothing(data: bytes) -> None:
    seen = UsageBody()
    assert through(seen, data, 9) == data
    assert seen.used is None
    assert seen.text == ""


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [("gzip", gzip.compress(BODY)), ("deflate", zlib.compress(BODY))],
)
def test_an_encoded_answer_is_read_and_passes_encoded(encoding: str, encoded: bytes) -> None:
    seen = UsageBody()
    assert through(Decoded(seen, encoding), encoded, 7) == encoded
    assert seen.used == Used(input=12, output=3)


@pytest.mark.parametrize(("encoding", "encoded"), [("br", b"\x0b\x02"), ("gzip", b"no gzip")])
def test_an_encoding_that_cannot_be_read_passes_all_the_same(encoding: str, encoded: bytes) -> None:
    seen = UsageBody()
    assert through(Decoded(seen, encoding), encoded, 1) == encoded
    assert seen.used is None


def test_what_is_nested_too_deeply_to_be_read_passes_and_tells_nothing() -> None:
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    seen = UsageBody()
    assert through(seen, deep, 999) == deep
    assert (seen.used, seen.complete) == (None, False)
