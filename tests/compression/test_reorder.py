"""The order of documents, and which of them may move."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.prompt import Segment, Where
from unabridged.compression.reorder import order_of, placed


def document(text: str, path: int = 0, chained: bool = False) -> Segment:
    where = Where(path=("messages", path, "content"), start=0)
    return Segment(kind="document", text=text, where=where, chained=chained)


def test_each_way_puts_the_best_where_it_says() -> None:
    ranks = [4, 2, 0, 1, 3]
    assert placed(ranks, "original") == [0, 1, 2, 3, 4]
    assert placed(ranks, "sort") == [4, 2, 0, 1, 3]
    assert placed(ranks, "two_stage") == [4, 0, 3, 1, 2]


@given(ranks=st.permutations(range(7)), how=st.sampled_from(["original", "sort", "two_stage"]))
def test_no_document_is_lost_or_doubled(ranks: list[int], how: str) -> None:
    assert sorted(placed(ranks, how)) == list(range(7))


def test_an_unknown_order_is_named() -> None:
    with pytest.raises(ValueError, match="'best'; known: original, sort, two_stage"):
        placed([0], "best")


def test_documents_move_within_their_own_string() -> None:
    documents = [document("a\n"), document("b\n"), document("c\n", 1), document("d\n", 1)]
    assert order_of(documents, [3, 1, 2, 0], "sort") == (1, 0, 3, 2)
    assert order_of(documents, [3, 1, 2, 0], "original") == ()


def test_the_last_document_without_a_line_break_stays_last() -> None:
    documents = [document("a\n\n"), document("b\n\n"), document("c")]
    assert order_of(documents, [2, 1, 0], "sort") == (1, 0, 2)


def test_what_is_chained_to_its_neighbours_stays() -> None:
    documents = [document("a\n", chained=True), document("b\n", chained=True)]
    assert order_of(documents, [1, 0], "sort") == ()
