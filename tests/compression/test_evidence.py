"""How much has to agree before a shortened form is believed."""

from __future__ import annotations

import pytest

from unabridged.compression.entities import EntityKind
from unabridged.compression.evidence import BEHIND, ENOUGH, ONE, Evidence, Remains, evidence
from unabridged.compression.vocabulary import Vocabulary
from unabridged.compression.words import words_of

ORIGINAL = (
    "Wilhelm Conrad Röntgen and Prime Minister Thatcher saw the Treaty of Ghent, 1,402 km,"
    " 24 December 1814"
)


def judged(short: str, full: str, kind: EntityKind) -> Evidence | None:
    left = Remains(short=short, full=full, kind=kind, runs=words_of(short))
    return evidence(left, Vocabulary([ORIGINAL]), None)


def test_a_word_cut_inside_a_longer_name_proves_itself() -> None:
    assert judged("Wilhelm Röntg", "Wilhelm Conrad Röntgen", "name") == ENOUGH


def test_words_side_by_side_that_never_were_prove_themselves() -> None:
    assert judged("Treaty Ghent", "Treaty of Ghent", "name") == ENOUGH


def test_one_cut_word_alone_needs_a_neighbour_that_agrees() -> None:
    assert judged("Röntg", "Wilhelm Conrad Röntgen", "name") == ONE


def test_whole_words_from_the_beginning_need_the_words_around_them() -> None:
    assert judged("Prime Minister", "Prime Minister Thatcher", "name") == BEHIND


def test_a_number_without_its_unit_must_have_no_other_word_behind_it() -> None:
    assert judged("1,402", "1,402 km", "unit") == Evidence(unit=True)


@pytest.mark.parametrize(("short", "full"), [("saw", "saw"), ("the", "the")])
def test_a_whole_word_is_no_evidence_at_all(short: str, full: str) -> None:
    assert judged(short, full, "word") is None
