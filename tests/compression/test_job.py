"""What a compressor is given, and what it may give back."""

from __future__ import annotations

import dataclasses

import pytest

from unabridged.compression.job import Job, untouched
from unabridged.compression.prompt import Segment, Where
from unabridged.policies.policy import Policy


def segment(text: str) -> Segment:
    return Segment(kind="document", text=text, where=Where(path=(), start=0))


def test_untouched_segments_keep_all_their_text_and_empty_ones_keep_nothing() -> None:
    cut = untouched([segment("one"), segment("")], "the policy is off")
    assert cut.kept == (((0, 3),), ())
    assert cut.why == ("the policy is off", "the policy is off")


def test_a_job_wants_no_look_at_the_clock_and_no_model_unless_it_is_told() -> None:
    job = Job(segments=(segment("one"),), question="", tokens=1, count=len, policy=Policy())
    job.checkpoint()
    assert job.scorer is None


def test_a_job_cannot_change_under_a_compressor() -> None:
    job = Job(segments=(), question="", tokens=1, count=len, policy=Policy())
    with pytest.raises(dataclasses.FrozenInstanceError):
        job.tokens = 2  # type: ignore[misc]
