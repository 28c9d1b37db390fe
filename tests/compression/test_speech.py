"""Who says a text decides what may be done to it."""

from __future__ import annotations

from unabridged.compression.body import Text
from unabridged.compression.speech import CACHED, by_index, forced, spoken, up_to_mark

TEXT = Text(path=("input",), value="hello", start=0, end=5)


def test_the_assistant_is_never_cut_and_a_stranger_neither() -> None:
    assert spoken(TEXT, role="assistant", turn=0).protected
    assert spoken(TEXT, role="critic", turn=0).protected
    assert not spoken(TEXT, role="user", turn=0).protected


def test_all_up_to_the_last_mark_is_kept_and_what_follows_is_not() -> None:
    said = [spoken(TEXT, role="user", turn=n) for n in range(4)]
    marks = [False, True, True, False]
    found = list(up_to_mark(zip(said, marks, strict=True)))
    assert [s.protected for s in found] == [True, True, True, False]
    assert found[0].why == CACHED
    assert found[3] == said[3]


def test_a_policy_that_names_a_message_wins_over_a_mark() -> None:
    named = forced(spoken(TEXT, role="user", turn=0), "document")
    assert list(up_to_mark([(named, True)])) == [named]


def test_negative_indexes_count_from_the_end() -> None:
    assert by_index({0: "document", -1: "history", 7: "format"}, 3) == {0: "document", 2: "history"}
    assert by_index({0: "document"}, 0) == {}
