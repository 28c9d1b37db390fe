"""Which headers go on to the upstream, and which come back to the client."""

from __future__ import annotations

from collections.abc import Collection, Sequence

Headers = list[tuple[bytes, bytes]]
"""Names and values as on the wire, in order; a name may stand more than once."""

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""Meant for one connection only (RFC 9110 section 7.6.1); those that `Connection` names too."""

CREDENTIALS = frozenset(
    (b"authorization", b"api-key", b"x-api-key", b"x-goog-api-key", b"xi-api-key", b"cookie")
)
"""Every place where clients put a key."""

DIGESTS = frozenset((b"content-md5", b"digest", b"content-digest", b"repr-digest", b"etag"))
"""Describe the bytes of an answer, so they go when its wording is restored."""

_OURS = b"x-unabridged"


def first(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The value of the first header of a (lower-case) name."""
    for key, value in headers:
        if key.lower() == name:
            return value
    return None


def to_upstream(
    headers: Headers,
    *,
    host: bytes,
    key: str | None,
    key_header: bytes = b"authorization",
    own_keys: bool,
    length: int | None,
) -> Headers:
    """The request headers that go on, in their order, with the upstream's own `Host`.

    `key` is the operator's credential for the upstream and takes the place of the caller's.
    With `own_keys` the caller's credential is one of ours and never goes on. `length` is the
    new Content-Length; None keeps the client's.
    """
    drop = _dropped(headers) | {b"expect", b"host"}
    if key is not None or own_keys:
        drop |= CREDENTIALS
    if key is not None:
        drop |= {key_header}
    if length is not None:
        drop |= {b"content-length"}
    kept = [(b"host", host)]
    kept += [(k, v) for k, v in headers if k.lower() not in drop and not _ours(k)]
    if key is not None:
        scheme = b"Bearer " if key_header == b"authorization" else b""
        kept.append((key_header, scheme + key.encode()))
    if length is not None:
        kept.append((b"content-length", str(length).encode()))
    return kept


def unencoded(headers: Headers) -> Headers:
    """Asks for an answer that is not compressed, so that its wording can be restored."""
    kept = [(k, v) for k, v in headers if k.lower() != b"accept-encoding"]
    return [*kept, (b"accept-encoding", b"identity")]


def to_client(headers: Headers, *, receipt: Headers, changed: bool, length: int | None) -> Headers:
    """The response headers that come back, in their order, and the receipt behind them.

    `changed`: the body is not the upstream's byte for byte, so what describes its bytes goes;
    `length` is the new Content-Length, None for a stream.
    """
    drop: Collection[bytes] = _dropped(headers)
    if changed:
        drop = {*drop, *DIGESTS, b"content-length"}
    kept = [(k, v) for k, v in headers if k.lower() not in drop and not _ours(k)]
    if changed and length is not None:
        kept.append((b"content-length", str(length).encode()))
    return kept + receipt


def _dropped(headers: Headers) -> frozenset[bytes]:
    named: set[bytes] = set()
    for key, value in headers:
        name = key.lower()
        if name == b"connection":
            named.update(token.strip().lower() for token in value.split(b","))
        elif name == b"transfer-encoding":
            # A length beside it is not the body's (RFC 9112 section 6.3).
            named.add(b"content-length")
    return HOP_BY_HOP | named if named else HOP_BY_HOP


def _ours(name: bytes) -> bool:
    return name[: len(_OURS)].lower() == _OURS
