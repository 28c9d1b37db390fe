"""Bodies and streams as no program would write them, the same ones at every run."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

TOKENS = [
    b"null", b"true", b"-0", b"1e999", b"12345678901234567890123", b"1.0", b"{}", b"[]", b'""',
    b"[[[[[[[[", b"]]]]", b"{", b"}", b",", b":", b'"', b"\\", b"\\u", b"\\ud83d", b"\\u0000",
    b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", "\U0001f600".encode(), "\u202e".encode(),
    b"\xef\xbb\xbf", b"\r\n\r\n", b"\n\n", b"data: ", b"[DONE]", b"NaN", b"Infinity", b"/*x*/",
    b'"content":', b'"messages":', b'"stream":true', b'"n":2', b'"model":"m"', b'"tools":[]',
]  # fmt: skip
TEXT = (
    "The Forth Bridge was designed by Fowler and Baker. Mackerel prices rose for the third month."
    " 발견한 사람은 누구입니까? 1,402 km. \\u00e9 \U0001f600 See src/main/parse.py and `code`."
)
WEIRD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    "\ud83d",
    [],
    {},
    [[]],
    {"": {"": []}},
    TEXT,
]


def bodies() -> list[dict[str, Any]]:
    """Requests of every shape that the API has, all of them valid."""
    user = {"role": "user", "content": f"Document [1](Title: x) {TEXT}\n\nQuestion: who?"}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1.0}'}}
    parts = [
        {"type": "text", "text": TEXT},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
    base = {"model": "gpt-4o-mini"}
    return [
        {**base, "messages": [user]},
        {**base, "messages": [{"role": "system", "content": TEXT}, user], "temperature": 1.0},
        {**base, "messages": [{"role": "user", "content": parts}, user], "n": 2},
        {
            **base, "tools": [tool], "parallel_tool_calls": False,
            "messages": [
                user, {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": TEXT * 4},
            ],
        },
        {**base, "messages": [user], "response_format": schema, "logprobs": True},
        {**base, "messages": [{"role": "developer", "content": TEXT}, user], "seed": 2**53 + 1},
        {**base, "messages": [user], "unabridged": {"rate": 0.5}, "metadata": {"a": TEXT}},
    ]  # fmt: skip


def mutated_bodies(count: int, seed: int = 7) -> Iterator[bytes]:
    rng = random.Random(seed)
    valid = bodies()
    for number in range(count):
        value = json.loads(json.dumps(valid[number % len(valid)]))
        if rng.random() < 0.5:
            _bend(value, rng)
        text = json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1]))
        raw = text.encode("utf-8", "surrogatepass")
        if rng.random() < 0.6:
            raw = _broken(raw, rng)
        yield raw


def mutated_streams(streams: list[bytes], count: int, seed: int = 7) -> Iterator[bytes]:
    rng = random.Random(seed)
    for number in range(count):
        yield _broken(streams[number % len(streams)], rng)


def _bend(value: Any, rng: random.Random) -> None:
    """Puts something else in one place of a JSON value."""
    places: list[tuple[Any, Any]] = []

    def walk(at: Any) -> None:
        keys = at if isinstance(at, dict) else range(len(at)) if isinstance(at, list) else ()
        for key in keys:
            places.append((at, key))
            walk(at[key])

    walk(value)
    at, key = rng.choice(places)
    choice = rng.random()
    if choice < 0.2:
        del at[key]
    elif choice < 0.3 and isinstance(at, list):
        at.append(at[key])
    else:
        at[key] = rng.choice(WEIRD)


def _broken(raw: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, cut out, doubled or put in, once to three times."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(raw) + 1)
        end = min(len(raw), at + rng.randint(1, 40))
        choice = rng.randrange(6)
        if choice == 0 and raw:
            at = min(at, len(raw) - 1)
            raw = raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :]
        elif choice == 1:
            raw = raw[:at] + raw[end:]
        elif choice == 2:
            raw = raw[:end] + raw[at:]
        elif choice == 3:
            raw = raw[:at]
        else:
            raw = raw[:at] + rng.choice(TOKENS) + raw[at:]
    return raw
