"""All kinds of models together: a policy loads what its compressor asks, and nothing else."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from page_client import soon

from unabridged.policies.policy import Policy
from unabridged.proxy.encoders import Encoders
from unabridged.proxy.scorers import Scorers
from unabridged.proxy.seams import open_seams


class Loaded:
    revision = "weights 1"


@pytest.mark.parametrize(
    ("compressor", "needed"),
    [("extractive", []), ("llmlingua", ["scorer"]), ("longllmlingua", ["encoder", "scorer"])],
)
def test_what_a_compressor_asks_is_loaded_and_named(
    tmp_path: Path, compressor: Any, needed: list[str]
) -> None:
    (tmp_path / "config.json").write_text("{}")
    source = f"path:{tmp_path}"
    go_on = threading.Event()

    def load(_: Path) -> Any:
        go_on.wait(10)
        return Loaded()

    seams = open_seams(
        tmp_path,
        "cpu",
        scorers=Scorers(tmp_path, load),
        encoders=Encoders(tmp_path, load),
    )
    policy = Policy(compressor=compressor, scorer=source, encoder=source)
    seams.begin(policy)
    assert sorted(seams.loading) == [f"{seam} {source}" for seam in needed]
    go_on.set()
    soon(lambda: not seams.loading)
    named = seams.revision(compressor, policy).split("weights 1")
    assert len(named) == len(needed) + 1
