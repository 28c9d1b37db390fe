"""The choices of words that the reference implementation makes, for comparison with ours.

llmlingua 0.2.2 reads each surprise one token too early, so that it keeps the token in front of a
surprising one; it compares all tokens of all documents with one threshold; and it never looks at
the last tokens that do not fill a segment, which stay whatever they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unabridged.compression.scorer import TokenScores

SEGMENT = 200
"""Tokens of a segment in the reference (iterative_size)."""
TOP = 1000.0
"""More than any surprise: what is never looked at stays."""


def as_published(documents: Sequence[TokenScores]) -> list[TokenScores]:
    """Scores that make the reference's choice; `documents` in the order in which they are sent."""
    early = [
        TokenScores(spans=d.spans, scores=np.append(d.scores[1:], TOP)[: len(d.scores)])
        for d in documents
    ]
    left = sum(len(d.scores) for d in documents) % SEGMENT
    for i in range(len(early) - 1, -1, -1):
        tail = min(left, len(early[i].scores))
        scores = early[i].scores.astype(np.float32)
        scores[len(scores) - tail :] = TOP
        early[i] = TokenScores(spans=early[i].spans, scores=scores)
        left -= tail
    return early
