"""Where model weights come from, and how they get into the model cache whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs
from filelock import FileLock

from unabridged.proxy.gguf_weights import Progress
from unabridged.proxy.wheel_weights import WHEELS, Wheel, unpack, watch

HUB_FILES = ("*.safetensors", "*.json", "tokenizer.model", "*.jinja", "*.txt", "LICENSE*")
"""What is fetched of a repository on the model hub: no code and no pickles."""

EMBEDDED = Path(__file__).parents[1] / "compression" / "adapters"
"""The adapters that come with this package."""

ADAPTER = "adapter_config.json"
"""Beside an adapter's weights, as peft writes it."""

NOTE = "source.json"
"""Beside the weights: where they came from, their licence and their size."""


class UnknownSource(Exception):
    """A source that is not written as pypi:NAME, hf:ORG/NAME or path:DIR."""


class Unreachable(Exception):
    """The hub or a directory could not be read."""


class NotPulled(Exception):
    """The weights that an adapter belongs to are not on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The address of a model's weights."""

    kind: Literal["pypi", "hf", "path", "embedded"]
    name: str
    """Package, repository (with @REVISION or without), directory, or one of this package's own."""
    version: str = ""
    """Pinned release of the package."""

    @classmethod
    def parse(cls, text: str, wheels: Mapping[str, Wheel] = WHEELS) -> Source:
        """Read `pypi:NAME`, `hf:ORG/NAME[@REVISION]`, `path:DIR` or `embedded:NAME`; raises
        UnknownSource."""
        kind, _, name = text.partition(":")
        if kind == "pypi" and name:
            if name not in wheels:
                known = ", ".join(f"pypi:{n}" for n in wheels)
                raise UnknownSource(f"no weights are known in package {name!r}; known: {known}")
            return cls(kind="pypi", name=name, version=wheels[name].version)
        if kind == "hf" and re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", name):
            return cls(kind="hf", name=name)
        if kind == "path" and name:
            return cls(kind="path", name=name)
        if kind == "embedded" and (EMBEDDED / name / "config.json").is_file():
            return cls(kind="embedded", name=name)
        raise UnknownSource(
            f"unknown source {text!r}; write pypi:NAME, hf:ORG/NAME or path:DIRECTORY"
        )

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    @property
    def folder(self) -> str:
        """Name of the directory in the model cache."""
        name = f"{self.kind}--{self.name}" + (f"-{self.version}" if self.version else "")
        return re.sub(r"[^\w.-]+", "--", name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One line of the list of models."""

    source: str
    place: Path | None
    """Where they lie; None: not pulled yet."""
    bytes: int
    """On disk; of the download if they are not pulled yet."""
    licence: str
    """As the source states it; empty if it states none."""
    about: str


def default_home() -> Path:
    """The model cache: $UNABRIDGED_HOME/models, or the user's cache directory."""
    home = os.environ.get("UNABRIDGED_HOME")
    return (Path(home) if home else platformdirs.user_cache_path("unabridged")) / "models"


def locate(source: Source, home: Path) -> Path | None:
    """The directory with config.json and weights, or the GGUF file, if it is there already; looks
    only at disk."""
    if source.kind == "embedded":
        return EMBEDDED / source.name
    place = Path(source.name).expanduser() if source.kind == "path" else home / source.folder
    if source.kind == "path" and place.suffix == ".gguf":
        return place if place.is_file() else None
    return place if (place / "config.json").is_file() else None


def base_of(place: Path) -> str | None:
    """The source of the weights that a directory's adapter belongs to; None: it holds a whole
    model. Raises UnknownSource if it names none."""
    file = place / ADAPTER
    if not file.is_file():
        return None
    said = json.loads(file.read_text(encoding="utf-8")).get("base_model_name_or_path")
    if not isinstance(said, str):
        raise UnknownSource(f"{file} names no base_model_name_or_path")
    return said if said.startswith(("pypi:", "hf:", "path:")) else f"path:{said}"


def whole(place: Path, home: Path) -> bool:
    """True if nothing that a directory's adapter adapts is missing from the model cache."""
    base = base_of(place)
    return base is None or locate(Source.parse(base), home) is not None


def _silent(done: int, total: int, what: str) -> None:
    return None


def pull(
    source: Source,
    home: Path,
    progress: Progress = _silent,
    wheels: Mapping[str, Wheel] = WHEELS,
) -> Path:
    """Fetch, check and convert the weights unless they are there; gives their directory.

    Written beside its final place and renamed, so that a directory that exists is whole; two
    processes that pull at once wait for each other. `progress` is called with bytes or tensors
    done, the whole (0: not known) and what is being done, from this or another thread.
    Raises Unreachable, or what `wheel_weights.unpack` raises.
    """
    if source.kind in ("path", "embedded"):
        place = locate(source, home)
        if place is None:
            raise Unreachable(f"{source}: no config.json in {Path(source.name).expanduser()}")
        return place
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / f".{source.folder}.lock"):
        place = locate(source, home)
        if place is not None:
            return place
        # Under the lock nobody else writes here: what is left of an earlier pull was cut short.
        partial = home / f".{source.folder}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            if source.kind == "pypi":
                wheel = wheels[source.name]
                unpack(wheel, partial, progress)
                _note(partial, source, wheel.licence, wheel.about)
            else:
                _snapshot(source, partial, progress)
                _note(partial, source, _card_licence(partial), "")
            _flush(partial)
            partial.rename(home / source.folder)
            _flush_directory(home)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return home / source.folder


def listing(home: Path, wheels: Mapping[str, Wheel] = WHEELS) -> list[Weights]:
    """What lies in the model cache, and the packages that could be pulled into it."""
    found = [_known(wheel, home) for wheel in wheels.values()]
    shown = {weights.place for weights in found}
    for note in sorted(home.glob(f"*/{NOTE}")):
        if note.parent in shown:
            continue
        said = json.loads(note.read_text(encoding="utf-8"))
        found.append(
            Weights(
                source=said["source"],
                place=note.parent,
                bytes=_size(note.parent),
                licence=said["licence"],
                about=said["about"],
            )
        )
    return found


def _known(wheel: Wheel, home: Path) -> Weights:
    source = Source(kind="pypi", name=wheel.name, version=wheel.version)
    place = locate(source, home)
    return Weights(
        source=str(source),
        place=place,
        bytes=_size(place) if place else wheel.bytes,
        licence=wheel.licence,
        about=wheel.about,
    )


def _size(place: Path) -> int:
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())


def _note(place: Path, source: Source, licence: str, about: str) -> None:
    said = {"source": str(source), "licence": licence, "about": about}
    (place / NOTE).write_text(json.dumps(said, indent=1), encoding="utf-8")


def _snapshot(source: Source, target: Path, progress: Progress) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = source.name.partition("@")
    with watch(target, 0, f"downloading {repository}", progress):
        try:
            snapshot_download(
                repository,
                revision=revision or None,
                local_dir=target,
                allow_patterns=list(HUB_FILES),
            )
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
            raise Unreachable(
                f"{source} could not be fetched ({type(error).__name__}). Check the name and the "
                "network, set HF_TOKEN for a gated model, or name a local copy with path:DIRECTORY"
            ) from error
    shutil.rmtree(target / ".cache", ignore_errors=True)
    if not (target / "config.json").is_file():
        raise Unreachable(f"{source} has no config.json: it is not a transformers model")


def _card_licence(place: Path) -> str:
    return "see the model's page" if not list(place.glob("LICENSE*")) else "see LICENSE beside it"


def _flush(folder: Path) -> None:
    """A rename may reach the disk before what was written: make it wait."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
    _flush_directory(folder)


def _flush_directory(folder: Path) -> None:
    if os.name == "nt":  # a directory cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
