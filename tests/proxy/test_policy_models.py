"""Models remember what they said, unless the policy wants nothing remembered."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "compression"))

from judging import Judging
from memory_store import MemoryStore

from unabridged.compression.cached_encoder import CachedEncoder
from unabridged.compression.classifier import Classifier
from unabridged.compression.encoder import HashedEncoder
from unabridged.policies.policy import Policy
from unabridged.proxy.policy_models import Models, Wrap, bare

POLICY = Policy()


class Counting:
    revision = "weights 1"

    def __init__(self) -> None:
        self.asked = 0

    def score(self, texts: Any, conditions: Any = ()) -> list[Any]:
        self.asked += 1
        return []


def models(scorer: Counting | None, judging: Judging) -> Models:
    def classifier(_: Policy, wrap: Wrap) -> Any:
        return lambda: wrap(judging)

    return Models(
        scorer=lambda policy: (lambda: scorer) if scorer else None,  # type: ignore[arg-type, return-value]
        encoder=lambda policy: HashedEncoder,
        classifier=classifier,
        reranker=lambda policy: lambda: None,
    )


def test_what_was_judged_once_needs_no_model() -> None:
    judging, store = Judging(), MemoryStore()
    for _ in range(2):
        ready = models(None, judging).remembering(store, 60).classifier(POLICY, bare)()
        assert ready is not None
        ready.judge(["lighthouse"])
    assert judging.judged == ["lighthouse"]


def test_a_wrap_stands_inside_the_memory() -> None:
    wrapped: list[Classifier] = []

    def wrap(each: Classifier) -> Classifier:
        wrapped.append(each)
        return each

    judging = Judging()
    ready = models(None, judging).remembering(MemoryStore(), 60).classifier(POLICY, wrap)()
    assert ready is not None and ready is not judging
    assert wrapped == [judging]


def test_what_is_not_there_stays_so_and_what_is_remembers() -> None:
    found = models(None, Judging()).remembering(MemoryStore(), 60)
    assert found.scorer(POLICY) is None
    assert found.reranker(POLICY)() is None
    assert isinstance(found.encoder(POLICY)(), CachedEncoder)
    load = models(Counting(), Judging()).remembering(MemoryStore(), 60).scorer(POLICY)
    assert load is not None
    assert load().revision.startswith(Counting.revision)
    assert load().revision != Counting.revision  # scores are kept in half precision


def test_nothing_is_remembered_for_no_time() -> None:
    plain = models(Counting(), Judging())
    assert plain.remembering(MemoryStore(), 0) is plain
