"""The reference's choice of words."""

from __future__ import annotations

import numpy as np
import pytest

from unabridged.compression.as_published import SEGMENT, TOP, as_published
from unabridged.compression.scorer import TokenScores


def document(scores: list[float]) -> TokenScores:
    return TokenScores(
        spans=np.array([[i, i + 1] for i in range(len(scores))], dtype=np.int32).reshape(-1, 2),
        scores=np.array(scores, dtype=np.float32),
    )


def test_a_surprise_counts_for_the_token_in_front_of_it() -> None:
    scores = [1.0] * SEGMENT
    scores[7] = 9.0
    [found] = as_published([document(scores)])
    assert int(found.scores[:-1].argmax()) == 6
    assert found.scores[-1] == TOP


@pytest.mark.parametrize("tokens", [1, 199, 200, 201, 555])
def test_what_fills_no_segment_stays(tokens: int) -> None:
    first, last = as_published([document([1.0] * 300), document([1.0] * tokens)])
    scores = np.concatenate([first.scores[:299], last.scores])
    left = (300 + tokens) % SEGMENT
    assert abs(int((scores == TOP).sum()) - left) <= 1
    assert len(last.scores) == tokens


def test_nothing_is_not_changed() -> None:
    assert as_published([]) == []
    assert len(as_published([document([])])[0].scores) == 0
