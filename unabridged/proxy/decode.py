"""Opens a request body that came compressed, up to a size."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
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


_STEP = 64 * 1024
"""Bytes that are opened at a time, so that a bomb is seen long before it goes off."""


def decode(raw: bytes, encoding: str, *, limit: int) -> bytes | None:
    """The body as it was before it was compressed (RFC 9110 section 8.4); None if the encoding is
    none of DECODERS.

    Raises BadBody if it is broken, and TooLarge once it has more than `limit` bytes.
    """
    names = [name.strip().lower() for name in encoding.split(",") if name.strip()]
    if any(name not in DECODERS for name in names):
        return None
    for name in reversed(names):
        raw = _opened(raw, name, limit)
    return raw


def _opened(raw: bytes, name: str, limit: int) -> bytes:
    out = bytearray()
    try:
        for piece in DECODERS[name](raw):
            out += piece
            if len(out) > limit:
                raise TooLarge(
                    f"the request body exceeds {limit} bytes when it is opened"
                    " (server.max_body_bytes in the configuration)"
                )
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
        raise BadBody(f"the request body is not {name}, or is cut off") from error
    return bytes(out)


def _inflate(raw: bytes, *windows: int) -> Iterator[bytes]:
    """`windows`: what zlib is to expect, the first that fits."""
    for number, window in enumerate(windows, 1):
        decoder = zlib.decompressobj(window)
        try:
            first = decoder.decompress(raw, _STEP)
        except zlib.error:
            if number == len(windows):
                raise
            continue
        yield first
        while decoder.unconsumed_tail:
            yield decoder.decompress(decoder.unconsumed_tail, _STEP)
        if not decoder.eof:
            raise EOFError
        return


def _brotli(raw: bytes) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    yield decoder.process(raw, output_buffer_limit=_STEP)
    while not decoder.is_finished():
        piece = decoder.process(b"", output_buffer_limit=_STEP)
        if not piece and not decoder.is_finished():
            raise EOFError
        yield piece


def _zstd(raw: bytes) -> Iterator[bytes]:
    with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as reader:
        while piece := reader.read(_STEP):
            yield piece


DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "identity": lambda raw: iter((raw,)),
    "gzip": lambda raw: _inflate(raw, 31),
    "x-gzip": lambda raw: _inflate(raw, 31),
    # Some clients leave the zlib wrapper out.
    "deflate": lambda raw: _inflate(raw, 15, -15),
    "br": _brotli,
    "zstd": _zstd,
}
"""What opens each encoding, piece by piece."""
