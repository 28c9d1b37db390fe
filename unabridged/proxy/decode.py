"""Opens a request body that came compressed, up to a size."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import brotli
import zstandard

from unabridged.proxy.errors import BadBody, TooLarge
from unabridged.proxy.headers import Headers, first


@dataclass(frozen=True, slots=True)
class Came:
    """The body of a request as it came, and opened."""

    headers: Headers
    raw: bytes
    plain: bytes | None
    """None: in an encoding that is not opened."""

    @classmethod
    def of(cls, headers: Headers, raw: bytes, *, limit: int) -> Came:
        """Raises what `decode` raises."""
        encoding = (first(headers, b"content-encoding") or b"identity").decode("latin-1")
        return cls(headers, raw, decode(raw, encoding, limit=limit))

    def going(self, body: bytes) -> tuple[Headers, bytes]:
        """Headers and body that go on: what was not changed goes as it came, encoding and all."""
        if body == self.plain or self.plain is None:
            return self.headers, self.raw
        kept = [(k, v) for k, v in self.headers if k.lower() != b"content-encoding"]
        return kept, body


MOST = 4
"""Encodings of one body. Each may cost as much as the whole limit."""
_STEP = 64 * 1024
"""Bytes that are opened at a time, so that a bomb is seen long before it goes off."""
_BITE = 4 * 1024
"""Bytes that zlib takes in at a time: it copies what is left of them at the end of each member."""
_ZSTD_BITE = 512
"""Bytes that zstd takes in at a time: each four can be a block of 128 KiB."""
_WINDOW = 8 * 1024 * 1024
"""How far back a zstd frame may refer, and so what opening one allocates (RFC 9659 section 3)."""
_MEMBER = b"\x1f\x8b"
"""How a member of a gzip file begins."""


def decode(raw: bytes, encoding: str, *, limit: int) -> bytes | None:
    """The body as it was before it was compressed (RFC 9110 section 8.4); None if the encoding is
    none of DECODERS.

    Raises BadBody if it is broken or encoded too often, and TooLarge once it has more than `limit`
    bytes.
    """
    names = [name.strip().lower() for name in encoding.split(",") if name.strip()]
    if any(name not in DECODERS for name in names):
        return None
    if len(names) > MOST:
        raise BadBody(f"the request body is encoded {len(names)} times over; {MOST} at most")
    for name in reversed(names):
        raw = _opened(raw, name, limit)
    return raw


def _opened(raw: bytes, name: str, limit: int) -> bytes:
    out = bytearray()
    try:
        for piece in DECODERS[name](raw):
            out += piece
            if len(out) > limit:
                raise TooLarge.at(limit, " when it is opened")
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
        raise BadBody(f"the request body is not {name}, or is cut off") from error
    return bytes(out)


def _gzip(raw: bytes) -> Iterator[bytes]:
    """All members (RFC 1952 section 2.2); what follows them and is none is of no matter."""
    at = 0
    while at == 0 or raw.startswith(_MEMBER, at):
        at = yield from _inflated(raw, at, 31)


def _deflate(raw: bytes) -> Iterator[bytes]:
    """Some clients leave the zlib wrapper out."""
    try:
        zlib.decompressobj(15).decompress(raw, _STEP)
        window = 15
    except zlib.error:
        window = -15
    yield from _inflated(raw, 0, window)


def _inflated(raw: bytes, at: int, window: int) -> Generator[bytes, None, int]:
    """What begins at `at`; returns where it ends."""
    decoder = zlib.decompressobj(window)
    given = b""
    while True:
        if not given:
            given = raw[at : at + _BITE]
            at += len(given)
        piece = decoder.decompress(given, _STEP)
        yield piece
        if decoder.eof:
            return at - len(decoder.unused_data)
        # All may be taken in, and the last words still to come out.
        if not given and not piece:
            raise EOFError
        given = decoder.unconsumed_tail


def _brotli(raw: bytes) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    yield decoder.process(raw, output_buffer_limit=_STEP)
    while not decoder.is_finished():
        piece = decoder.process(b"", output_buffer_limit=_STEP)
        if not piece and not decoder.is_finished():
            raise EOFError
        yield piece


def _zstd(raw: bytes) -> Iterator[bytes]:
    """All frames (RFC 8878 section 3.1)."""
    at = 0
    while at < max(1, len(raw)):
        decoder = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
        while not decoder.eof:
            bite = raw[at : at + _ZSTD_BITE]
            if not bite:
                raise EOFError
            at += len(bite)
            yield decoder.decompress(bite)
        at -= len(decoder.unused_data)


DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "identity": lambda raw: iter((raw,)),
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
"""What opens each encoding, piece by piece."""
