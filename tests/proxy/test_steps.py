"""A step that fails is named, by its kind alone, and every step is timed."""

from __future__ import annotations

import time

import pytest

from unabridged.compression.job import Cancelled
from unabridged.proxy.steps import Progress, StepFailed


def test_a_failure_is_told_without_its_text() -> None:
    progress = Progress()
    with pytest.raises(StepFailed) as error, progress.during("split"):
        raise ValueError("the prompt itself")
    assert str(error.value) == "split failed: ValueError"
    assert error.value.step == progress.step == "split"


def test_being_cancelled_is_not_a_failure() -> None:
    with pytest.raises(Cancelled), Progress().during("split"):
        raise Cancelled


def test_the_time_of_a_step_adds_up_even_when_it_fails() -> None:
    progress = Progress()
    for _ in range(2):
        with pytest.raises(StepFailed), progress.during("split"):
            time.sleep(0.01)
            raise ValueError
    assert progress.milliseconds["split"] >= 20
