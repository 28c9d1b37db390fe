"""How an error of ours is told to a client of each API, before an answer and in mid-stream."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from unabridged.proxy.errors import envelope, kind, written
from unabridged.proxy.request import PREFIX

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """The two ways of telling an error."""

    body: Callable[[Exception], bytes]
    """The JSON body of an answer that is nothing but the error."""
    event: Callable[[Exception], bytes]
    """The last event of a stream that broke off."""


def _anthropic(error: Exception) -> bytes:
    said = json.loads(envelope(error))["error"]
    told = _ANTHROPIC_TYPES.get(kind(error).status, "api_error")
    whole = {"type": "error", "error": {**said, "type": told}}
    return written(whole)


def _named(body: bytes) -> bytes:
    return b"event: error\ndata: " + body + b"\n\n"


def _response_error(error: Exception) -> bytes:
    # The flat fields are the API's own event; by the nested ones SDKs know that they must raise.
    said = json.loads(envelope(error))
    flat = {name: said["error"][name] for name in ("code", "message", "param")}
    return _named(written({"type": "error", **flat, **said}))


OPENAI = Dialect(body=envelope, event=lambda error: b"data: " + envelope(error) + b"\n\n")
RESPONSES = Dialect(body=envelope, event=_response_error)
ANTHROPIC = Dialect(body=_anthropic, event=lambda error: _named(_anthropic(error)))

DIALECTS = {PREFIX + "/messages": ANTHROPIC, PREFIX + "/responses": RESPONSES}
"""By the path, or the start of it; all others are OPENAI."""


def dialect_of(path: str) -> Dialect:
    """How errors are told to whoever asked for a path."""
    for start, dialect in DIALECTS.items():
        if path == start or path.startswith(start + "/"):
            return dialect
    return OPENAI
