"""Models are loaded once, in the background, and only if their weights are there."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from unabridged.proxy.loading import Loading


def wait(models: Loading[str]) -> None:
    end = time.monotonic() + 3
    while models.loading:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_model_is_loaded_once_however_often_it_is_begun(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    source, go_on, places = f"path:{tmp_path}", threading.Event(), []

    def load(place: Path) -> str:
        places.append(place)
        go_on.wait(5)
        return "model"

    models = Loading(tmp_path, load, name="test")
    for _ in range(3):
        models.begin(source)
    assert models.there(source)
    assert models.ready(source) is None
    assert models.loading == [source]
    go_on.set()
    wait(models)
    models.begin(source)
    assert (models.ready(source), places, models.loading) == ("model", [tmp_path], [])


def test_missing_weights_are_not_loaded_and_damaged_ones_tried_once(tmp_path: Path) -> None:
    tries: list[Path] = []

    def load(place: Path) -> str:
        tries.append(place)
        raise OSError("damaged")

    models = Loading(tmp_path, load, name="test")
    models.begin(f"path:{tmp_path}")
    assert not models.there(f"path:{tmp_path}")
    assert tries == []
    (tmp_path / "config.json").write_text("{}")
    for _ in range(2):
        models.begin(f"path:{tmp_path}")
        wait(models)
    assert (len(tries), models.failed) == (1, [f"path:{tmp_path}"])


def test_an_adapter_is_not_there_until_what_it_adapts_is(tmp_path: Path) -> None:
    """Nothing heavy is imported for the adapters of this package where their base is missing."""
    assert not Loading(tmp_path, str, name="test").there("embedded:english")
