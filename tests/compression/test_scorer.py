"""The seam to the models: what every scorer must hold to, shown on the simplest one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unabridged.compression.scorer import Scorer, TokenScores


class Letters:
    """A scorer that finds the later letters of the alphabet more surprising."""

    revision = "letters-1"

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        return [
            TokenScores(
                spans=np.array([(i, i + 1) for i in range(len(text))], np.int32).reshape(-1, 2),
                scores=np.array([ord(char) for char in text], np.float32),
            )
            for text in texts
        ]


def test_a_plain_class_is_a_scorer_without_inheriting_from_one() -> None:
    scorer: Scorer = Letters()
    (scored,) = scorer.score(["az"])
    assert scored.spans.tolist() == [[0, 1], [1, 2]]
    assert scored.scores[1] > scored.scores[0]


def test_there_is_one_score_for_each_token_and_none_for_an_empty_text() -> None:
    for scored in Letters().score(["", "abc"]):
        assert scored.spans.shape == (len(scored.scores), 2)
