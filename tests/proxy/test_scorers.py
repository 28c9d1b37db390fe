"""Models load in the background, once, and nobody waits for them."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from unabridged.policies.policy import Policy
from unabridged.proxy.scorers import ScorerLoading, ScorerMissing, Scorers


class Loaded:
    revision = "weights 1"

    def score(self, texts: Any, conditions: Any = ()) -> list[Any]:
        return []


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "config.json").write_text("{}")
    return Policy(scorer=f"path:{tmp_path}")


def wait_until_loaded(scorers: Scorers) -> None:
    end = time.monotonic() + 3
    while scorers.loading:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_without_weights_there_is_no_scorer(tmp_path: Path) -> None:
    scorers = Scorers(tmp_path, lambda _: Loaded())
    assert scorers.of(Policy(scorer=f"path:{tmp_path / 'nowhere'}")) is None
    assert scorers.of(Policy()) is None


def test_a_scorer_is_loaded_once_and_nobody_waits(tmp_path: Path, policy: Policy) -> None:
    go_on, places = threading.Event(), []

    def load(place: Path) -> Loaded:
        places.append(place)
        go_on.wait(5)
        return Loaded()

    scorers = Scorers(tmp_path, load)
    get = scorers.of(policy)
    assert get is not None
    for _ in range(3):
        with pytest.raises(ScorerLoading):
            get()
    unloaded = scorers.revision(policy)
    go_on.set()
    wait_until_loaded(scorers)
    assert isinstance(get(), Loaded)
    assert places == [tmp_path]
    assert scorers.revision(policy) != unloaded
    assert "weights 1" in scorers.revision(policy)


def test_weights_that_cannot_be_loaded_are_tried_once(tmp_path: Path, policy: Policy) -> None:
    tries: list[Path] = []

    def load(place: Path) -> Loaded:
        tries.append(place)
        raise OSError("damaged")

    scorers = Scorers(tmp_path, load)
    scorers.begin(policy)
    wait_until_loaded(scorers)
    get = scorers.of(policy)
    assert get is not None
    with pytest.raises(ScorerMissing):
        get()
    assert len(tries) == 1
    assert scorers.failed == [policy.scorer]
