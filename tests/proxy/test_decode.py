"""Bodies that came compressed are opened, and bombs are not."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from unabridged.proxy.decode import decode
from unabridged.proxy.errors import BadBody, TooLarge


def bare(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


ENCODERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", bare),
    ("br", brotli.compress),
    ("zstd", zstandard.ZstdCompressor().compress),
]


@pytest.mark.parametrize(("name", "encode"), ENCODERS)
def test_what_was_compressed_is_opened(name: str, encode: Callable[[bytes], bytes]) -> None:
    for data in (b"", b'{"a": 1}', bytes(range(256)) * 2000):
        assert decode(encode(data), name, limit=10**6) == data
        assert decode(encode(data), name.upper(), limit=len(data)) == data


@pytest.mark.parametrize(("name", "encode"), ENCODERS)
def test_a_bomb_is_seen_before_it_goes_off(name: str, encode: Callable[[bytes], bytes]) -> None:
    bomb = encode(bytes(200 * 10**6))
    start = time.process_time()
    with pytest.raises(TooLarge):
        decode(bomb, name, limit=10**6)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(("name", "encode"), ENCODERS)
def test_what_is_broken_or_cut_off_is_refused(name: str, encode: Callable[[bytes], bytes]) -> None:
    whole = encode(bytes(range(256)) * 50)
    for raw in (b"\x00\x01not it", *(whole[:end] for end in range(len(whole)))):
        with pytest.raises(BadBody, match=name):
            decode(raw, name, limit=10**6)


@pytest.mark.parametrize(("name", "encode"), ENCODERS)
def test_how_long_a_body_is_makes_no_difference(
    name: str, encode: Callable[[bytes], bytes]
) -> None:
    """Around 64 KiB, raw deflate had all been taken in when its last words were still to come."""
    for size in range(65_530, 65_800, 3):
        data = (b"ab" * size)[:size]
        assert decode(encode(data), name, limit=10**6) == data


def test_all_members_of_a_gzip_file_are_opened() -> None:
    members = [gzip.compress(part) for part in (b"one ", b"", b"two ", bytes(10**5))]
    whole = b"".join(members)
    assert decode(whole, "gzip", limit=10**6) == b"one two " + bytes(10**5)
    assert decode(whole + b"\0\0padding", "gzip", limit=10**6) == b"one two " + bytes(10**5)
    with pytest.raises(BadBody):
        decode(whole[:-4], "gzip", limit=10**6)
    with pytest.raises(TooLarge):
        decode(whole, "gzip", limit=10**5)


def test_all_frames_of_a_zstd_body_are_opened() -> None:
    frames = [zstandard.compress(part) for part in (b"one ", b"", bytes(10**5))]
    whole = b"".join(frames)
    assert decode(whole, "zstd", limit=10**6) == b"one " + bytes(10**5)
    for broken in (whole[:-1], whole + b"padding"):
        with pytest.raises(BadBody):
            decode(broken, "zstd", limit=10**6)


def test_a_zstd_frame_that_would_allocate_much_is_refused() -> None:
    far = zstandard.ZstdCompressionParameters(window_log=27)
    writing = zstandard.ZstdCompressor(compression_params=far).compressobj()
    raw = writing.compress(b"words" * 99) + writing.flush()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(raw) == b"words" * 99
    with pytest.raises(BadBody):
        decode(raw, "zstd", limit=10**6)


def test_a_body_that_is_encoded_time_and_again_is_refused_before_it_is_opened() -> None:
    raw = b"x"
    for _ in range(5):
        raw = gzip.compress(raw)
    with pytest.raises(BadBody, match="5 times over; 4 at most"):
        decode(raw, ", ".join(["gzip"] * 5), limit=1000)


def test_several_encodings_are_opened_in_turn_and_unknown_ones_left() -> None:
    twice = brotli.compress(gzip.compress(b"words"))
    assert decode(twice, "gzip, br", limit=99) == b"words"
    assert decode(b"words", "identity", limit=99) == b"words"
    assert decode(twice, "gzip, odd", limit=99) is None
