"""What a compressor kept is remembered per policy, question and budget, and only so."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.job import Cancelled, Cut, Job
from unabridged.compression.prompt import Segment, Where
from unabridged.policies.policy import Policy
from unabridged.proxy.cache import StoreDown
from unabridged.proxy.contexts import (
    Looking,
    Lookups,
    Scope,
    job_key,
    policy_version,
    remembering,
)
from unabridged.proxy.shelf import MemoryShelf, Told

SCOPE = Scope(policy_version="1", tokenizer="t", scorer=lambda compressor: "", seconds=60)


def job(*texts: str, question: str = "Who?", tokens: int = 5, **segment: Any) -> Job:
    return Job(
        segments=tuple(
            Segment(kind="document", text=t, where=Where(path=("m", i), start=0), **segment)
            for i, t in enumerate(texts)
        ),
        question=question,
        tokens=tokens,
        count=len,
        policy=Policy(),
    )


class Counting:
    """Keeps all but the last character, and counts how often it is asked."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.calls = 0
        self.seconds = seconds

    def __call__(self, compressor: str, job: Job) -> Cut:
        self.calls += 1
        time.sleep(self.seconds)
        kept = tuple(((0, len(s.text) - 1),) for s in job.segments)
        return Cut(kept=kept, why=("because",) * len(kept))


def looking(values: Any = None, lookups: Lookups | None = None) -> Looking:
    return Looking(values=values or MemoryShelf(), lookups=lookups or Lookups(), depth="segment")


def test_the_same_job_is_computed_once() -> None:
    run, lookups = Counting(), Lookups()
    remembered = remembering(run, SCOPE, looking(lookups=lookups))
    first = remembered("extractive", job("one", "two"))
    assert (lookups.use, lookups.depth) == ("miss", "")
    assert remembered("extractive", job("one", "two")) == first == Counting()("", job("one", "two"))
    assert run.calls == 1
    assert (lookups.use, lookups.depth) == ("part", "segment")


@pytest.mark.parametrize(
    "hits, misses, use, depth",
    [
        ({}, {}, "off", ""),
        ({"plan": 1}, {}, "hit", "plan"),
        ({"segment": 2}, {"plan": 1}, "hit", "segment"),
        ({"segment": 2}, {"plan": 1, "segment": 1}, "part", "segment"),
        ({"scores": 9}, {"plan": 1, "segment": 1, "scores": 1}, "part", "scores"),
        ({}, {"plan": 1, "segment": 1, "scores": 9}, "miss", ""),
    ],
)
def test_the_deepest_hit_is_told(hits: Any, misses: Any, use: str, depth: str) -> None:
    found = Lookups(hits=hits, misses=misses)
    assert (found.use, found.depth) == (use, depth)


OTHERS = [
    ("compressor", "llmlingua", job("one"), SCOPE),
    ("policy", "x", job("one"), replace(SCOPE, policy_version="2")),
    ("tokenizer", "x", job("one"), replace(SCOPE, tokenizer="u")),
    ("scorer", "x", job("one"), replace(SCOPE, scorer=lambda _: "weights 2")),
    ("text", "x", job("on", "e"), SCOPE),
    ("question", "x", job("one", question="Wh"), SCOPE),
    ("budget", "x", job("one", tokens=6), SCOPE),
    ("protection", "x", job("one", protected=True), SCOPE),
    ("head", "x", job("one", head=1), SCOPE),
]


@pytest.mark.parametrize("what, compressor, other, scope", OTHERS, ids=[o[0] for o in OTHERS])
def test_everything_that_matters_is_in_the_key(
    what: str, compressor: str, other: Job, scope: Scope
) -> None:
    assert job_key("x", job("one"), SCOPE) != job_key(compressor, other, scope)


@given(st.lists(st.text(), min_size=1, max_size=3), st.lists(st.text(), min_size=1, max_size=3))
def test_different_texts_have_different_keys(some: list[str], others: list[str]) -> None:
    same = job_key("x", job(*some), SCOPE) == job_key("x", job(*others), SCOPE)
    assert same == (some == others)


def test_the_place_in_the_body_does_not_matter() -> None:
    moved = replace(job("one"), segments=(replace(job("one").segments[0], turn=3),))
    assert job_key("x", job("one"), SCOPE) == job_key("x", moved, SCOPE)


def test_a_change_of_what_a_policy_says_about_cutting_is_a_new_version() -> None:
    assert policy_version(Policy()) == policy_version(Policy())
    assert policy_version(Policy()) != policy_version(Policy(floor=0.2))
    assert policy_version(Policy()) == policy_version(Policy(deadline_ms=9, cache_seconds=9))


def test_a_lifetime_of_zero_remembers_nothing() -> None:
    run = Counting()
    remembered = remembering(run, replace(SCOPE, seconds=0), looking())
    for _ in range(2):
        remembered("x", job("one"))
    assert run.calls == 2


class Fixed(MemoryShelf):
    """Always holds the same value."""

    def __init__(self, value: bytes) -> None:
        super().__init__()
        self.value = value

    def take(self, keys: Sequence[str]) -> list[Told]:
        return [self.value]


@given(st.binary() | st.sampled_from([b"{}", b"[]", b'{"kept":[],"why":[],"order":[]}', b"1"]))
def test_a_foreign_or_damaged_value_is_ignored(value: bytes) -> None:
    run = Counting()
    cut = remembering(run, SCOPE, looking(Fixed(value)))("x", job("one"))
    assert cut.kept == (((0, 2),),)
    assert run.calls == 1


class Dead(MemoryShelf):
    """Never answers."""

    def take(self, keys: Sequence[str]) -> list[Told]:
        raise StoreDown

    def put(self, values: Mapping[str, bytes], *, seconds: int) -> None:
        raise StoreDown

    def give_up(self, keys: Sequence[str]) -> None:
        raise StoreDown


def test_a_dead_store_only_costs_the_cache() -> None:
    lookups = Lookups()
    assert remembering(Counting(), SCOPE, looking(Dead(), lookups))("x", job("one")).kept
    assert lookups.use == "store-down"


def test_what_many_ask_for_at_once_is_computed_once() -> None:
    run = Counting(seconds=0.1)
    shelf, cuts = MemoryShelf(), []

    def ask() -> None:
        cuts.append(remembering(run, SCOPE, looking(shelf))("x", job("one")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (run.calls, len(cuts), len({c.kept for c in cuts})) == (1, 8, 1)


def test_a_failure_is_not_shared() -> None:
    both_in = threading.Barrier(2)
    calls: list[int] = []

    def run(compressor: str, job: Job) -> Cut:
        calls.append(1)
        if len(calls) == 1:
            both_in.wait(2)
            time.sleep(0.1)
            raise Cancelled
        return Counting()(compressor, job)

    shared, got = MemoryShelf(), []

    def first() -> None:
        with pytest.raises(Cancelled):
            remembering(run, SCOPE, looking(shared))("x", job("one"))

    thread = threading.Thread(target=first)
    thread.start()
    both_in.wait(2)
    got.append(remembering(run, SCOPE, looking(shared))("x", job("one")))
    thread.join()
    assert len(calls) == 2
    assert got[0].kept == (((0, 2),),)
