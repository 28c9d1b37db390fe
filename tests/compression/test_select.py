"""The budget is met exactly, and a smaller one keeps a part of what a larger one keeps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.kept import extract, subset
from unabridged.compression.prompt import Segment, Where
from unabridged.compression.select import Selection, Unit, longest, ordered, spans_of
from unabridged.compression.sentences import words

WHERE = Where(path=("x",), start=0)


def segment(text: str, head: int = 0, tail: int = 0) -> Segment:
    return Segment(kind="document", text=text, where=WHERE, head=head, tail=tail)


def by_words(text: str) -> int:
    return len(text.split())


def test_bisection_finds_the_last_number_that_fits():
    for budget in range(12):
        assert longest(10, lambda n: n, budget) == min(budget, 10)


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=40), st.integers(0, 25), st.integers(0, 25)
)
def test_bisection_is_monotone_even_if_the_cost_is_not(costs: list[int], a: int, b: int):
    low, high = sorted((a, b))
    found = [longest(len(costs) - 1, lambda n: costs[n], budget) for budget in (low, high)]
    assert found[0] <= found[1]


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=40),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_a_smaller_budget_keeps_a_subset_and_each_is_met(scores: list[int], a: int, b: int):
    text = " ".join(f"w{i}" for i in range(len(scores)))
    segments = [segment(text)]
    order = ordered([Unit(0, *span) for span in words(text)], scores)
    kept = []
    for budget in sorted((a, b)):
        chosen = Selection(segments=segments, count=by_words).choose(order, budget)
        kept.append(spans_of(segments, chosen)[0])
        assert by_words(extract(text, kept[-1])) == min(budget, len(scores))
    assert subset(*kept)


def test_ties_go_to_the_earlier_unit():
    units = [Unit(0, i, i + 1) for i in range(4)]
    assert ordered(units, [1, 2, 2, 1]) == [units[1], units[2], units[0], units[3]]


def test_head_and_tail_come_with_the_content_and_are_counted():
    segments = [segment("HEAD one two TAIL", head=5, tail=5), segment("three four")]
    units = [Unit(0, 5, 8), Unit(0, 8, 12), Unit(1, 0, 5), Unit(1, 5, 10)]
    selection = Selection(segments=segments, count=by_words)
    chosen = selection.choose(units, 3)
    assert spans_of(segments, chosen) == (((0, 8), (12, 17)), ())


def test_what_a_long_head_leaves_over_is_filled_from_open_segments():
    segments = [segment("one two three"), segment("A VERY LONG HEAD four", head=17)]
    first, second, third = (Unit(0, *span) for span in words(segments[0].text))
    chosen = Selection(segments=segments, count=by_words).choose(
        [first, Unit(1, 17, 21), second, third], 3
    )
    assert chosen == [first, second, third]


def test_what_is_forced_stays_even_beyond_the_budget():
    segments = [segment("one two three")]
    units = [Unit(0, *span) for span in words(segments[0].text)]
    chosen = Selection(segments=segments, count=by_words).choose(units, 0, always=[units[2]])
    assert chosen == [units[2]]


def test_a_first_unit_that_is_too_long_stops_no_other() -> None:
    """Nothing would be kept at all otherwise, of a budget that most words fit."""
    segments = [segment("[one two three four] five six")]
    units = [Unit(0, 0, 20), Unit(0, 20, 25), Unit(0, 25, 29)]
    assert Selection(segments=segments, count=by_words).choose(units, 2) == units[1:]


def test_behind_a_head_that_is_too_long_other_segments_have_their_turn() -> None:
    segments = [segment("A VERY LONG HEAD one two", head=17), segment("three four")]
    units = [Unit(0, 17, 20), Unit(0, 20, 24), *(Unit(1, *span) for span in words("three four"))]
    assert Selection(segments=segments, count=by_words).choose(units, 2) == units[2:]


sizes = st.lists(st.integers(1, 9), min_size=1, max_size=40)


@given(sizes, st.integers(0, 80), st.integers(0, 80))
def test_the_gap_is_less_than_one_unit_and_so_is_what_a_larger_budget_does_without(
    costs: list[int], a: int, b: int
) -> None:
    """What a unit too long has left is filled with later ones: these a larger budget, for which
    that unit is not too long, may do without."""
    pieces = [" ".join([f"w{i}"] * cost) + " " for i, cost in enumerate(costs)]
    segments = [segment("".join(pieces))]
    ends = [sum(map(len, pieces[: i + 1])) for i in range(len(pieces))]
    units = [Unit(0, end - len(piece), end) for piece, end in zip(pieces, ends, strict=True)]
    low, high = sorted((a, b))
    kept = [set(Selection(segments=segments, count=by_words).choose(units, n)) for n in (low, high)]
    cost = dict(zip(units, costs, strict=True))
    for found, budget in zip(kept, (low, high), strict=True):
        spent = sum(cost[unit] for unit in found)
        assert spent <= budget
        left = [cost[unit] for unit in units if unit not in found]
        assert not left or budget - spent < max(costs)
    assert sum(cost[unit] for unit in kept[0] - kept[1]) < max(costs)
