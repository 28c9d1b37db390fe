"""What a compressor kept is remembered per tenant, policy, question and budget, and only so."""

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
from unabridged.proxy.cache import MemoryCache, StoreDown
from unabridged.proxy.contexts import Contexts, Lookups, Scope, policy_version

SCOPE = Scope(
    tenant="a", policy_version="1", tokenizer="t", scorer=lambda compressor: "", seconds=60
)


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


def contexts(cache: Any = None, secret: bytes = b"s" * 32) -> Contexts:
    return Contexts(cache=cache or MemoryCache(), secret=secret)


def test_the_same_job_is_computed_once() -> None:
    run, lookups = Counting(), Lookups()
    remembered = contexts().remembering(run, SCOPE, lookups)
    first = remembered("extractive", job("one", "two"))
    assert remembered("extractive", job("one", "two")) == first == Counting()("", job("one", "two"))
    assert run.calls == 1
    assert (lookups.hits, lookups.misses, lookups.use) == (1, 1, "part")


OTHERS = [
    ("compressor", "llmlingua", job("one"), SCOPE),
    ("tenant", "x", job("one"), replace(SCOPE, tenant="b")),
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
    all_keys = contexts()
    assert all_keys.key("x", job("one"), SCOPE) != all_keys.key(compressor, other, scope)


@given(st.lists(st.text(), min_size=1, max_size=3), st.lists(st.text(), min_size=1, max_size=3))
def test_different_texts_have_different_keys(some: list[str], others: list[str]) -> None:
    keys = contexts()
    same = keys.key("x", job(*some), SCOPE) == keys.key("x", job(*others), SCOPE)
    assert same == (some == others)


def test_a_key_tells_nothing_without_the_secret() -> None:
    assert contexts().key("x", job("one"), SCOPE) != contexts(secret=b"t" * 32).key(
        "x", job("one"), SCOPE
    )


def test_the_place_in_the_body_does_not_matter() -> None:
    moved = replace(job("one"), segments=(replace(job("one").segments[0], turn=3),))
    assert contexts().key("x", job("one"), SCOPE) == contexts().key("x", moved, SCOPE)


def test_any_change_of_a_policy_is_a_new_version() -> None:
    assert policy_version(Policy()) == policy_version(Policy())
    assert policy_version(Policy()) != policy_version(Policy(floor=0.2))


def test_a_lifetime_of_zero_remembers_nothing() -> None:
    run = Counting()
    remembered = contexts().remembering(run, replace(SCOPE, seconds=0), Lookups())
    for _ in range(2):
        remembered("x", job("one"))
    assert run.calls == 2


class Fixed:
    """A Cache that always holds the same value."""

    def __init__(self, value: bytes) -> None:
        self.value = value

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self.value]

    def put(self, values: Mapping[str, bytes], *, seconds: int) -> None:
        self.value = next(iter(values.values()))

    def claim(self, key: str, *, seconds: float) -> bool:
        return True


@given(st.binary())
def test_a_foreign_or_damaged_value_is_ignored(value: bytes) -> None:
    run, lookups = Counting(), Lookups()
    cut = contexts(Fixed(value)).remembering(run, SCOPE, lookups)("x", job("one"))
    assert cut.kept == (((0, 2),),)
    assert lookups.use == "miss"


def test_a_value_of_another_key_is_ignored() -> None:
    cache = Fixed(b"")
    run = Counting()
    remembered = contexts(cache).remembering(run, SCOPE, Lookups())
    remembered("x", job("one"))
    remembered("x", job("another"))
    assert run.calls == 2


class Dead:
    """A Cache that never answers."""

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        raise StoreDown

    def put(self, values: Mapping[str, bytes], *, seconds: int) -> None:
        raise StoreDown

    def claim(self, key: str, *, seconds: float) -> bool:
        raise StoreDown


def test_a_dead_store_only_costs_the_cache() -> None:
    run, lookups = Counting(), Lookups()
    assert contexts(Dead()).remembering(run, SCOPE, lookups)("x", job("one")).kept
    assert lookups.use == "store-down"


def test_what_many_ask_for_at_once_is_computed_once() -> None:
    run = Counting(seconds=0.1)
    all_of_them, cuts = contexts(), []

    def ask() -> None:
        cuts.append(all_of_them.remembering(run, SCOPE, Lookups())("x", job("one")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (run.calls, len(cuts), len({c.kept for c in cuts})) == (1, 8, 1)


def test_replicas_that_share_a_store_compute_once_between_them() -> None:
    cache, run = MemoryCache(), Counting(seconds=0.1)

    def ask() -> None:
        contexts(cache).remembering(run, SCOPE, Lookups())("x", job("one"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run.calls == 1


def test_a_replica_that_died_while_computing_holds_up_nobody_for_long() -> None:
    cache, run = MemoryCache(), Counting()
    dead, alive = contexts(cache), contexts(cache)
    assert cache.claim(dead.key("x", job("one"), SCOPE) + ":lease", seconds=60)
    start = time.monotonic()
    alive.remembering(run, SCOPE, Lookups())("x", job("one"))
    assert run.calls == 1
    assert time.monotonic() - start < 0.6


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

    shared, got = contexts(), []

    def first() -> None:
        with pytest.raises(Cancelled):
            shared.remembering(run, SCOPE, Lookups())("x", job("one"))

    thread = threading.Thread(target=first)
    thread.start()
    both_in.wait(2)
    got.append(shared.remembering(run, SCOPE, Lookups())("x", job("one")))
    thread.join()
    assert len(calls) == 2
    assert got[0].kept == (((0, 2),),)
