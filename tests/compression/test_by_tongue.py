"""Each text is judged by the classifier that knows its language."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from judging import Judging

from unabridged.compression.by_tongue import ByTongue
from unabridged.compression.classifier import NoClassifier


class Everything(Judging):
    def reads(self, text: str) -> bool:
        return True


def test_the_first_part_that_knows_the_language_judges() -> None:
    english, all_tongues = Judging(), Everything()
    both = ByTongue([lambda: english, lambda: all_tongues])
    both.judge(["a tide"])
    both.judge(["등대지기는 저녁"])
    assert english.judged == ["a tide"]
    assert all_tongues.judged == ["등대지기는 저녁"]
    assert both.reads("a") and both.reads("등")


def test_texts_of_one_job_are_judged_by_one_model() -> None:
    english, all_tongues = Judging(), Everything()
    ByTongue([lambda: english, lambda: all_tongues]).judge(["a tide", "등대지기는 저녁"])
    assert not english.judged and len(all_tongues.judged) == 2


def test_a_part_that_is_not_needed_is_not_loaded() -> None:
    def never() -> Judging:
        raise AssertionError

    assert ByTongue([Judging, never]).judge(["a"])


def test_a_part_that_is_needed_and_not_there_is_an_error() -> None:
    with pytest.raises(NoClassifier):
        ByTongue([Judging, lambda: None]).judge(["등"])
    with pytest.raises(NoClassifier):
        ByTongue([Judging]).judge(["등"])


def test_the_part_that_asks_reads_questions_of_its_own_language() -> None:
    plain, asking = Everything(), Judging(asks=True)
    both = ByTongue([lambda: plain], lambda: asking)
    assert both.asks
    both.judge(["a"], ["q"])
    both.judge(["등"], ["q"])
    assert asking.judged == ["a"] and plain.judged == ["등"] and plain.asked == []


def test_the_revision_changes_with_the_parts() -> None:
    one = ByTongue([lambda: Judging(name="a")])
    two = ByTongue([lambda: Judging(name="a")], lambda: Judging(name="b"))
    assert one.revision != two.revision
    assert not one.asks
