"""A classifier serves once it is loaded; nobody waits for a model."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "compression"))

from judging import Judging
from memory_store import MemoryStore

from unabridged.compression.cached_classifier import CachedClassifier
from unabridged.policies.policy import Policy, Words
from unabridged.proxy.classifiers import Classifiers
from unabridged.proxy.weights import EMBEDDED, Source, base_of


def settled(classifiers: Classifiers) -> None:
    end = time.monotonic() + 3
    while classifiers.loading:
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A model cache that has what the adapters of this package adapt."""
    for base in {base_of(EMBEDDED / name) for name in ("english", "asking")}:
        place = tmp_path / Source.parse(str(base)).folder
        place.mkdir()
        (place / "config.json").write_text("{}")
    return tmp_path


def test_a_classifier_is_given_once_it_is_loaded_and_can_be_wrapped(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    policy, inner = Policy(classifier=f"path:{tmp_path}"), Judging()
    classifiers = Classifiers(tmp_path, lambda _: inner)
    assert classifiers.revision(policy) == ""
    classifiers.begin(policy)
    settled(classifiers)
    ready = classifiers.of(policy)()
    assert ready is not None
    assert inner.revision in classifiers.revision(policy)
    assert ready is inner
    wrapped = classifiers.of(policy, lambda each: CachedClassifier(each, MemoryStore()))()
    assert isinstance(wrapped, CachedClassifier)


def test_the_embedded_one_loads_what_the_text_needs(models: Path) -> None:
    loaded: list[str] = []

    def load(place: Path) -> Judging:
        loaded.append(place.name)
        return Judging(name=place.name)

    classifiers = Classifiers(models, load)
    classifiers.begin(Policy())
    settled(classifiers)
    ready = classifiers.of(Policy())()
    assert ready is not None and loaded == ["english"]
    assert not ready.asks
    asking = Policy(words=Words(by_question="classifier"))
    assert classifiers.of(asking)() is not None
    classifiers.begin(asking)
    settled(classifiers)
    again = classifiers.of(asking)()
    assert again is not None and again.asks is False  # this fake reads no question
    assert sorted(loaded) == ["asking", "english"]


def test_weights_that_cannot_be_loaded_are_reported(models: Path) -> None:
    def broken(place: Path) -> Judging:
        raise OSError

    classifiers = Classifiers(models, broken)
    classifiers.begin(Policy())
    settled(classifiers)
    assert classifiers.failed == ["embedded:english"]
    assert classifiers.of(Policy())() is None
