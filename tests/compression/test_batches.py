from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.batches import batches


@dataclass(frozen=True)
class Window:
    text: int
    ids: tuple[int, ...]
    start: int = 0


def windows(lengths: list[int]) -> list[Window]:
    return [Window(text=i, ids=(0,) * length) for i, length in enumerate(lengths)]


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(1, 60))
def test_batches_hold_every_window_once_and_stay_small(lengths: list[int], most: int) -> None:
    found = batches(windows(lengths), most)
    assert sorted(w.text for batch in found for w in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(len(w.ids) for w in batch) <= most


def test_windows_of_like_length_are_padded_together() -> None:
    found = batches(windows([3, 50, 7, 7, 90, 12, 49]), 100)
    assert [[len(w.ids) for w in batch] for batch in found] == [[90], [50, 49], [12, 7, 7, 3]]


def test_the_order_of_equal_windows_is_that_of_the_texts() -> None:
    [first, second] = batches(
        [Window(1, (0,) * 5, 5), Window(1, (0,) * 5), Window(0, (0,) * 5)], 10
    )
    assert [(w.text, w.start) for w in (*first, *second)] == [(0, 0), (1, 0), (1, 5)]
