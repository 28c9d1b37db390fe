"""Vectors have length one, and texts that share words are nearer than those that do not."""

from __future__ import annotations

import numpy as np
import pytest

from unabridged.compression.encoder import HashedEncoder, unit


def test_the_passage_that_shares_words_is_nearer():
    encoder = HashedEncoder()
    near, far = encoder.passages(["The bridge opened.", "Cats sleep all day."], [(), ()])
    asked = encoder.question("when was the bridge opened")
    assert near.whole @ asked > far.whole @ asked
    assert near.spans.shape == (0, encoder.size)


def test_a_stretch_is_judged_by_its_own_words():
    encoder = HashedEncoder()
    [found] = encoder.passages(["Cats sleep. Dogs bark."], [[(0, 11), (11, 22)]])
    assert found.spans @ encoder.question("dogs bark") == pytest.approx([0, 1], abs=1e-2)


def test_unit_gives_length_one_in_halves_and_leaves_nothing_as_nothing():
    vector = unit(np.array([3, 4], dtype=np.float32))
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)
    assert np.array_equal(vector, vector.astype(np.float16).astype(np.float32))
    assert not unit(np.zeros(3, dtype=np.float32)).any()
