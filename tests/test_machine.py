"""Weights, findings and progress on a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from unabridged import machine
from unabridged.proxy.doctor import Finding
from unabridged.proxy.weights import Weights


def drawn(picture: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(picture)
    return out.getvalue()


def test_weights_are_listed_with_size_licence_and_place() -> None:
    listed = [
        Weights(source="pypi:a", place=Path("/m/a"), bytes=90_000_000, licence="MIT", about="one"),
        Weights(source="pypi:b", place=None, bytes=1_000, licence="Apache-2.0", about="two"),
    ]
    said = drawn(machine.models_list(listed))
    assert "pypi:a  90.0 MB  MIT" in said
    assert "/m/a" in said
    assert "not pulled" in said


def test_findings_say_what_is_well_and_what_is_not() -> None:
    said = drawn(
        machine.findings_table(
            [
                Finding(what="store", well=True, said="answers"),
                Finding(what="upstream [x]", well=False, said="[down]"),
            ]
        )
    )
    assert "ok" in said.splitlines()[1]
    assert "problem" in said
    assert "[down]" in said
    assert "upstream [x]" in said


def test_progress_takes_any_number_of_tasks(capfd: pytest.CaptureFixture[str]) -> None:
    with machine.progress(quiet=False) as tell:
        tell(1, 2, "downloading")
        tell(2, 2, "downloading")
        tell(1, 0, "converting")
    said = capfd.readouterr()
    assert "downloading" in said.err
    assert said.out == ""
    with machine.progress(quiet=True) as tell:
        tell(1, 2, "downloading")
    assert capfd.readouterr().err.strip() == ""
