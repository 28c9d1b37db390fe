"""Titles are found in any kind of head, and names in any language."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.names import NEARLY, mentions, name, titles
from unabridged.compression.rank import terms


@pytest.mark.parametrize(
    "head",
    [
        "Document [{n}](Title: {t}) ",
        '<document index="{n}" title="{t}">\n',
        "### {n}. {t}\n",
        "[{n}] {t}: ",
        "문서 {n} ({t}) ",
    ],
)
def test_a_title_is_what_differs_between_heads(head: str):
    wanted = ["Loch Leven", "Marian civil war", "Dam No 7", "금문교", "港"]
    heads = [head.format(n=n, t=t) for n, t in enumerate(wanted, 8)]
    assert titles(heads) == wanted


def test_heads_that_only_number_their_documents_hold_no_titles():
    assert titles(["[1] ", "[2] ", "[10] "]) == ["", "", ""]
    assert titles(["Document: Only one"]) == [""]
    assert titles([]) == []


@given(st.lists(st.text(max_size=20), max_size=5))
def test_any_heads_give_one_title_each_that_stands_in_its_head(heads: list[str]):
    found = titles(heads)
    assert len(found) == len(heads)
    assert all(title in head for title, head in zip(found, heads, strict=True))


def linked(called: list[str], sentences: list[str], documents: list[int]) -> np.ndarray:
    spaced = [f" {' '.join(terms(s))} " for s in sentences]
    return mentions([name(t) for t in called], spaced, np.array(documents))


def test_a_sentence_is_linked_to_the_documents_it_names_but_not_to_its_own():
    found = linked(
        ["Catawissa (tugboat)", "Waterford, New York"],
        ["Catawissa was a tugboat at Waterford.", "Waterford, New York had a Catawissa."],
        [0, 1],
    )
    assert found.tolist() == [[0.0, NEARLY], [1.0, 0.0]]


def test_names_are_whole_words_and_never_one_letter():
    assert not linked(["Car", "E"], ["The carpet has an e."], [9]).any()
    assert linked(["金门大桥"], ["他走过金门大桥。"], [9]).all()
