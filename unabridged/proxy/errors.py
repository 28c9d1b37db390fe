"""Errors of our own, as a client of the OpenAI API expects them: one table, one envelope."""

from __future__ import annotations

import json
from dataclasses import dataclass

from unabridged.compression.body import BadBody as Unreadable
from unabridged.policies.asked import BadAsk, NotAllowed, UnknownPolicy
from unabridged.proxy.refusal import BudgetExceeded, MoneyDown, OverCap, Refusal, Unpriced


class BadBody(Exception):
    """The request body is not a JSON object."""


class BadPath(Exception):
    """The path leads out of the upstream's base URL."""


class NotFound(Exception):
    """Nothing is served at this path."""


class TooLarge(Exception):
    """The request body exceeds server.max_body_bytes."""

    @classmethod
    def at(cls, limit: int, when: str = "") -> TooLarge:
        """Names the limit and where it stands."""
        return cls(
            f"the request body exceeds {limit} bytes{when}"
            " (server.max_body_bytes in the configuration)"
        )


class BadKey(Exception):
    """No key, or one that the key file does not have."""


class ModelNotAllowed(Exception):
    """The caller's key may not ask this model."""


class NotCountable(Exception):
    """A WebSocket, while a budget is in force: what goes over it has no usage to charge."""


class ForeignSite(Exception):
    """A web page of another site tries to use an open proxy on loopback."""


class ClientGone(Exception):
    """The client closed its connection; there is nobody to answer."""


class UpstreamDown(Exception):
    """The upstream cannot be reached, or broke off."""


class UpstreamSlow(Exception):
    """The upstream exceeded connect_seconds, first_byte_seconds or idle_seconds."""


class UpstreamUnreached(UpstreamSlow):
    """The upstream did not accept a connection in time, so nothing was sent to it."""


class ShuttingDown(Exception):
    """The proxy ends, and the grace time for its last answers is over."""


class UpstreamBusy(Exception):
    """All connections to the upstream are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How one cause is told to the client."""

    status: int
    type: str
    code: str
    param: str | None = None


TABLE: dict[type[Exception], Kind] = {
    BadBody: Kind(status=400, type="invalid_request_error", code="bad_json"),
    Unreadable: Kind(status=400, type="invalid_request_error", code="bad_json"),
    BadPath: Kind(status=400, type="invalid_request_error", code="bad_path"),
    UnknownPolicy: Kind(
        status=400, type="invalid_request_error", code="unknown_policy", param="unabridged.policy"
    ),
    BadAsk: Kind(status=400, type="invalid_request_error", code="bad_override", param="unabridged"),
    BudgetExceeded: Kind(status=402, type="insufficient_quota", code="budget_exceeded"),
    OverCap: Kind(status=402, type="insufficient_quota", code="request_cap_exceeded"),
    Unpriced: Kind(status=402, type="insufficient_quota", code="unpriced_model", param="model"),
    MoneyDown: Kind(status=503, type="server_error", code="budget_store_down"),
    BadKey: Kind(status=401, type="invalid_request_error", code="invalid_api_key"),
    NotAllowed: Kind(
        status=403, type="permission_error", code="override_not_allowed", param="unabridged"
    ),
    ModelNotAllowed: Kind(
        status=403, type="permission_error", code="model_not_allowed", param="model"
    ),
    NotCountable: Kind(status=403, type="permission_error", code="websocket_not_counted"),
    ForeignSite: Kind(status=403, type="permission_error", code="foreign_site"),
    NotFound: Kind(status=404, type="invalid_request_error", code="not_found"),
    TooLarge: Kind(status=413, type="invalid_request_error", code="body_too_large"),
    UpstreamDown: Kind(status=502, type="upstream_error", code="upstream_unreachable"),
    UpstreamBusy: Kind(status=503, type="upstream_error", code="upstream_busy"),
    UpstreamSlow: Kind(status=504, type="upstream_error", code="upstream_timeout"),
    UpstreamUnreached: Kind(status=504, type="upstream_error", code="upstream_timeout"),
    ShuttingDown: Kind(status=503, type="server_error", code="shutting_down"),
    Exception: Kind(status=500, type="server_error", code="internal_error"),
}
"""The most special class of an error decides; every status code of ours stands here."""


def kind(error: Exception) -> Kind:
    """How an error is told; a cause that is not in the table is an internal error."""
    return next(TABLE[cause] for cause in type(error).__mro__ if cause in TABLE)


def envelope(error: Exception) -> bytes:
    """`{"error": {"message", "type", "param", "code"}}`. What an unforeseen exception says
    stays inside: it could hold a stretch of a prompt."""
    told = kind(error)
    message = str(error)
    if told is TABLE[Exception]:
        message = f"the proxy failed with {type(error).__name__}; its log says more"
    said: dict[str, object] = {
        "message": message,
        "type": told.type,
        "param": told.param,
        "code": told.code,
    }
    if isinstance(error, Refusal):
        said["metadata"] = error.metadata
    return written({"error": said})


def written(said: object) -> bytes:
    """A JSON text; half a surrogate pair, as of a model's name that a client sent, is an escape."""
    return json.dumps(said, ensure_ascii=False).encode(errors="backslashreplace")
