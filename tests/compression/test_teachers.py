"""Teachers that need no chat model."""

from __future__ import annotations

import numpy as np

from unabridged.compression.kept import extract
from unabridged.compression.scorer import TokenScores
from unabridged.compression.sentences import words
from unabridged.compression.teachers import answers, answers_of, places, questions, surprisal

ROWS = [
    {"question": "who kept the lamp", "answers": ["Ann Lee"], "text": "The lamp: kept by Ann Lee."},
    {"question": "when was the lamp lit", "answers": ["1947"], "text": "Men lit the lamp in 1947."},
    {"question": "what is it", "answers": ["a boat"], "text": "Nothing of the kind."},
]  # fmt: skip


class Lengths:
    revision = "lengths"

    def score(self, texts: list[str], conditions: tuple[str, ...] = ()) -> list[TokenScores]:
        return [
            TokenScores(
                spans=np.array(words(text), dtype=np.int32).reshape(-1, 2),
                scores=np.array([b - a for a, b in words(text)], dtype=np.float32),
            )
            for text in texts
        ]


def test_the_words_that_answers_need_are_kept() -> None:
    found = answers(ROWS)
    assert [extract(e.text, e.kept) for e in found] == ["Ann Lee", "1947"]
    assert {e.teacher for e in found} == {"answers"}


def test_an_answer_stands_as_words_of_its_own_where_it_can() -> None:
    assert places("cart art ART", "art") == [(5, 8), (9, 12)]
    assert places("carts", "art") == [(1, 4)]
    assert places("x", "art") == []


def test_each_question_has_a_passage_that_answers_and_one_that_does_not() -> None:
    found = questions(ROWS)
    assert [(e.question, e.answers) for e in found] == [
        ("who kept the lamp", True),
        ("who kept the lamp", False),
        ("when was the lamp lit", True),
        ("when was the lamp lit", False),
    ]
    assert all(bool(e.kept) == e.answers for e in found)
    assert "Ann Lee" not in found[1].text
    assert questions(ROWS) == found


def test_the_words_that_surprise_most_are_half_of_them() -> None:
    [found] = surprisal([{"text": "a lighthouse is a building"}], Lengths())
    assert extract(found.text, found.kept).split() == ["lighthouse", "building"]
    [empty] = surprisal([{"text": ""}], Lengths())
    assert empty.kept == ()


def test_answers_are_strings() -> None:
    assert answers_of({"answers": ["a", "", 3]}) == ["a"]
    assert answers_of({}) == []
