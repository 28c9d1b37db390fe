"""What a classifier is measured by."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from judging import Judging

from unabridged.compression.trial import trial

ROWS = [
    {"text": "the lamp was kept by lighthousekeepers for a year", "answers": ["lighthousekeepers"]},
    {"text": "the lamp was lit in an hour by old and tired men", "answers": ["an hour"]},
]  # fmt: skip


def test_it_counts_answers_tokens_and_time() -> None:
    found = trial(Judging(), ROWS, 0.5)
    assert found.retention == 0.5
    assert 0 < found.got <= found.asked
    assert found.tokens_per_second > 0


def test_without_answers_there_is_no_retention() -> None:
    assert trial(Judging(), [{"text": "a b c d e f"}], 0.5).retention is None
