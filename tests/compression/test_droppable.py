"""A dropper of words drops words, and names, numbers and dates as one."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.droppable import Droppable, in_turn
from unabridged.compression.job import Job
from unabridged.compression.kept import extract, normalise
from unabridged.compression.prompt import Segment, Where
from unabridged.compression.select import Unit
from unabridged.compression.words import words_of
from unabridged.policies.policy import Perplexity, Policy

GHENT = "It ended with the Treaty of Ghent, signed on 24 December 1814. Joyce B. Wein paid $1,402."


def units(*texts: str, policy: Policy | None = None) -> tuple[Unit, ...]:
    """What the first of some texts is divided into."""
    where = Where(path=("x",), start=0)
    job = Job(
        segments=tuple(Segment(kind="document", text=text, where=where) for text in texts),
        question="",
        tokens=0,
        count=len,
        policy=policy or Policy(compressor="llmlingua", rate=0.5),
    )
    return Droppable(job).units(0, 0, len(texts[0]), ())


def read(text: str, found: tuple[Unit, ...]) -> list[str]:
    return [extract(text, unit.spans).strip() for unit in found]


def test_a_name_a_number_and_a_date_stay_or_go_whole() -> None:
    found = read(GHENT, units(GHENT))
    assert "24 December 1814" in found
    assert "$1,402" in found
    assert "Joyce Wein" in found


def test_the_small_words_of_a_name_go_alone_and_come_behind_it() -> None:
    found = read(GHENT, units(GHENT))
    assert found[found.index("Treaty Ghent") + 1] == "of"
    assert found[found.index("Joyce Wein") + 1] == "B."


@pytest.mark.parametrize(
    "other",
    ["and so Joyce Wein left.", "and so Joyce C. Wein left."],
    ids=["stands elsewhere", "left of two names"],
)
def test_a_name_stays_whole_where_the_rest_would_prove_nothing(other: str) -> None:
    assert "Joyce B. Wein" in read(GHENT, units(GHENT, other))


def test_what_a_name_can_do_without_never_comes_before_the_name() -> None:
    whole, small, other = Unit(0, 0, 15, without=((6, 9),)), Unit(0, 6, 9), Unit(0, 15, 20)
    assert in_turn((whole, small, other), np.array([1.0, 5.0, 3.0])).tolist() == [1.0, 1.0, 3.0]


def test_a_word_that_may_only_begin_a_sentence_proves_nothing() -> None:
    text = "While Joyce B. Wein slept, it rained."
    assert "While Joyce Wein" in read(text, units(text))
    assert "While Joyce B. Wein" in read(text, units(text, "and so Joyce Wein left."))


def test_where_nobody_restores_the_answer_names_stay_whole() -> None:
    policy = Policy(compressor="llmlingua", rate=0.5, recovery="off")
    assert "Treaty of Ghent" in read(GHENT, units(GHENT, policy=policy))


def test_as_published_words_are_dropped_one_by_one() -> None:
    policy = Policy(compressor="longllmlingua", rate=0.5, perplexity=Perplexity(as_published=True))
    assert {"Treaty", "of", "Ghent"} <= set(read(GHENT, units(GHENT, policy=policy)))


@given(st.lists(st.sampled_from([*GHENT.split(), "빌헬름", "뢴트겐이", "\n", "("]), max_size=30))
def test_the_units_cover_a_text_once_and_in_order(words: list[str]) -> None:
    text = " ".join(words)
    found = units(text)
    spans = sorted(span for unit in found for span in unit.spans)
    assert "".join(text[a:b] for a, b in spans) == text
    assert not text or normalise(spans) == ((0, len(text)),)
    assert [unit.start for unit in found] == sorted(unit.start for unit in found)


@given(
    st.lists(
        st.sampled_from([*GHENT.split(), "(see", '"so', "Hong-Kong", "a,b", "\n", "\nIt", "伦琴"]),
        max_size=25,
    ),
    st.randoms(use_true_random=False),
)
def test_no_two_words_run_together_whatever_is_dropped(words: list[str], chance: Random) -> None:
    text = " ".join(words)
    kept: list[Unit] = []
    host = None
    for unit in units(text):
        inside = host is not None and unit.start < host.end
        host = host if inside else unit
        if chance.random() < 0.5 and (not inside or host in kept):
            kept.append(unit)
    shown = extract(text, normalise(span for unit in kept for span in unit.spans))
    assert set(words_of(shown)) <= set(words_of(text))
