"""Passages that answer a question rank above those that do not, in every language."""

from __future__ import annotations

import numpy as np
import pytest

from unabridged.compression.rank import RANKERS, bm25, gzip, order, terms, weigh


@pytest.mark.parametrize(
    ("question", "passages"),
    [
        (
            "Who invented the telephone?",
            ["The weather was mild.", "The telephone's inventor was Bell.", "Tea is a drink."],
        ),
        (
            "전화기를 누가 발명했습니까?",
            ["날씨가 맑았다.", "벨은 전화기의 발명가이다.", "차는 음료다."],
        ),
        (
            "誰が電話を発明しましたか",
            ["天気が良い。", "電話の発明者はベルです。", "お茶は飲み物。"],
        ),
        ("谁发明了电话？", ["天气很好。", "贝尔是电话的发明者。", "茶是饮料。"]),
        ("من اخترع الهاتف؟", ["كان الطقس جميلا.", "مخترع هاتف بيل.", "الشاي مشروب."]),
        (
            "Кто изобрёл телефон?",
            ["Погода была хорошей.", "Белл создал телефонный аппарат.", "Чай."],
        ),
    ],
)
def test_the_passage_with_the_answer_ranks_first(question: str, passages: list[str]):
    assert bm25(question, passages).argmax() == 1


def test_inflected_words_meet():
    assert set(terms("inventions")) == set(terms("invention"))
    assert set(terms("서울에서")) == set(terms("서울은"))
    assert set(terms("والكتاب")) == set(terms("الكتاب"))


def test_words_that_only_hold_a_sentence_together_do_not_count():
    assert terms("What is the of and") == []


def test_nothing_asked_or_nothing_to_rank_scores_nothing():
    assert bm25("", ["a b c"]).tolist() == [0.0]
    assert bm25("question", []).shape == (0,)
    assert weigh(["x"], []).shape == (0,)


def test_a_rare_word_weighs_more_than_a_common_one():
    scores = bm25("apple zebra", ["apple pie", "apple tart", "zebra stripes", "apple tree"])
    assert scores.argmax() == 2


def test_what_packs_well_with_the_question_ranks_first():
    passages = ["Tea is a hot drink.", "The tide book was kept by Alder.", "Rain fell all day."]
    assert gzip("Who kept the tide book?", passages).argmax() == 1
    assert gzip("x", []).shape == (0,)
    assert np.isfinite(gzip("", ["", "\ud800"])).all()


def test_rankers_that_need_only_texts_are_found_by_name():
    assert {"bm25": bm25, "gzip": gzip} == RANKERS


def test_ties_go_to_the_earlier_one() -> None:
    assert order(np.array([1.0, 2.0, 2.0, 0.5])) == [1, 2, 0, 3]
