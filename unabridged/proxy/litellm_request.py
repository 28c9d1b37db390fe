"""What a caller asks of a provider through litellm: read whole, opened, and in the right shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from unabridged.proxy.decode import Came
from unabridged.proxy.errors import BadBody, TooLarge
from unabridged.proxy.headers import Headers
from unabridged.proxy.upstream import Call

NEEDED: dict[str, dict[str, tuple[Any, str]]] = {
    "acompletion": {"messages": (list, "a list")},
    "atext_completion": {"prompt": ((str, list), "a text or a list")},
    "aembedding": {"input": ((str, list), "a text or a list")},
    "aanthropic_messages": {"messages": (list, "a list"), "max_tokens": (int, "a number")},
    "aresponses": {},  # a template has an input of its own
}
"""What each method of litellm's router wants beside the model, and how that is told."""
OPTIONAL = {"metadata": (dict, "an object"), "tools": (list, "a list")}


async def whole(call: Call, *, largest: int) -> bytes:
    """The body of a call, of so many bytes at most. Raises TooLarge."""
    if isinstance(call.body, bytes):
        return call.body
    found = bytearray()
    async for piece in call.body:
        found += piece
        if len(found) > largest:
            raise TooLarge.at(largest)
    return bytes(found)


def asked_in(headers: Headers, raw: bytes, *, largest: int) -> dict[str, Any]:
    """What a body says, opened if it came compressed. Raises BadBody and TooLarge."""
    plain = Came.of(headers, raw, limit=largest).plain
    if plain is None:
        raise BadBody("the body is in an encoding that is not opened here")
    try:
        asked = json.loads(plain)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise BadBody("the body is not a JSON object")
    return asked


def check_shape(method: str, asked: Mapping[str, Any]) -> None:
    """Raises BadBody for what litellm would stumble over, as if the provider had failed."""
    for name, (shape, said) in {"model": (str, "a text"), **NEEDED[method]}.items():
        if not isinstance(asked.get(name), shape):
            raise BadBody(f"{name} must be there, and be {said}")
    for name, (shape, said) in OPTIONAL.items():
        if asked.get(name) is not None and not isinstance(asked[name], shape):
            raise BadBody(f"{name} must be {said}")
