"""From the probabilities of tokens to those of words."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.classifier import halves, pooled


def spans(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array(pairs, dtype=np.int32).reshape(-1, 2)


def test_a_word_has_the_mean_of_its_tokens_or_the_first_one() -> None:
    tokens = spans((0, 2), (2, 5), (5, 9))
    values = np.array([0.2, 0.4, 0.9], dtype=np.float32)
    two = [[(0, 5)], [(5, 9)]]
    assert pooled(tokens, values, two).round(3).tolist() == [0.3, 0.9]
    assert pooled(tokens, values, two, "first").round(3).tolist() == [0.2, 0.9]


def test_a_stretch_of_several_spans_has_the_tokens_of_all() -> None:
    tokens = spans((0, 2), (2, 5), (5, 9))
    values = np.array([0.2, 0.4, 0.9], dtype=np.float32)
    assert pooled(tokens, values, [[(0, 2), (5, 9)]]).round(3).tolist() == [0.55]
    assert pooled(tokens, values, [[(2, 2), (5, 9)]], "first").round(3).tolist() == [0.9]
    assert pooled(tokens, values, []).tolist() == []


def test_a_word_without_a_token_has_no_value() -> None:
    found = pooled(spans((0, 2)), np.array([0.5], dtype=np.float32), [[(0, 2)], [(2, 4)]])
    assert found[0] == 0.5 and np.isnan(found[1])


def test_a_token_belongs_to_the_word_that_holds_its_last_character() -> None:
    found = pooled(spans((2, 6)), np.array([0.5], dtype=np.float32), [[(0, 3)], [(3, 8)]])
    assert np.isnan(found[0]) and found[1] == 0.5


@given(st.lists(st.tuples(st.integers(1, 4), st.floats(0, 1, width=16)), min_size=1, max_size=30))
def test_the_mean_over_everything_is_the_mean(tokens: list[tuple[int, float]]) -> None:
    ends = np.cumsum([length for length, _ in tokens])
    places = np.stack([ends - [length for length, _ in tokens], ends], axis=1).astype(np.int32)
    values = np.array([value for _, value in tokens], dtype=np.float32)
    [found] = pooled(places, values, [[(0, int(ends[-1]))]])
    assert np.isclose(found, values.mean(), atol=1e-5)


def test_halves_are_what_a_cache_gives_back() -> None:
    values = np.array([0.1, 1 / 3], dtype=np.float32)
    assert (halves(values) == halves(halves(values))).all()
