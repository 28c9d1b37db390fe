"""Words, meaning and links together put first what answers a question."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.semantic import Nearness, Passages, asked, rank


def ranked(
    question: str,
    documents: list[tuple[str, list[str]]],
    near: list[float] | None = None,
    sentences: list[float] | None = None,
) -> list[str]:
    """The sentences, best first."""
    texts = [text for _, inside in documents for text in inside]
    of = [i for i, (_, inside) in enumerate(documents) for _ in inside]
    scores = rank(
        question,
        Passages(
            sentences=texts,
            documents=np.array(of, dtype=np.intp),
            heads=[f"[{i}] {title}: " for i, (title, _) in enumerate(documents)],
        ),
        Nearness(
            documents=np.array(near or [0.0] * len(documents)),
            sentences=np.array(sentences or [0.0] * len(texts)),
        ),
    )
    return [texts[i] for i in sorted(range(len(texts)), key=lambda i: (-scores[i], i))]


FILLER = [
    ("Kestrel", ["The kestrel is a small falcon.", "It hovers."]),
    ("Granite", ["Granite is a coarse rock.", "It is found in many countries."]),
    ("Tallow", ["Tallow is rendered fat.", "Candles were made of it."]),
]


def test_the_second_step_of_a_question_is_found_by_the_name_it_leads_to():
    boat = ("Catawissa (tugboat)", ["Catawissa was a tugboat at Waterford.", "She was painted."])
    town = ("Waterford, New York", ["Waterford is a town.", "It had 8,515 inhabitants."])
    best = ranked("How many people live where the tugboat Catawissa lay?", [*FILLER, boat, town])
    assert best[0] == boat[1][0]
    assert best[1] == town[1][0]
    assert best.index(town[1][1]) < 4


def test_meaning_finds_what_shares_no_word_with_the_question():
    documents = [*FILLER, ("Automobile", ["A motor vehicle on four wheels.", "It needs fuel."])]
    near = [0.1, 0.1, 0.1, 0.8]
    best = ranked("car", documents, near, [0.1] * 6 + [0.9, 0.3])
    assert best[0] == documents[3][1][0]


def test_what_has_been_said_makes_room_for_what_has_not():
    documents = [
        ("A", ["The Apollo engine is loud.", "The Apollo engine is red.", "Birds sing."]),
        ("B", ["The Borealis is a boat.", "Grass grows."]),
        ("C", ["Nothing of it.", "Nor here."]),
    ]
    best = ranked("Is the Apollo engine on the Borealis?", documents)
    assert set(best[:2]) == {documents[0][1][0], documents[1][1][0]}


def test_labels_are_no_part_of_what_is_asked():
    assert asked("Question: Who built it?\nAnswer:") == "Who built it?"
    assert asked("질문: 누가 지었나?\n답변:") == "누가 지었나?"
    assert asked("Is http://a.b c?") == "Is http://a.b c?"
    assert asked("Answer:") == "Answer:"


@given(
    st.text(max_size=30),
    st.lists(
        st.tuples(st.text(max_size=8), st.lists(st.text(max_size=20), max_size=4)), max_size=5
    ),
)
def test_any_text_is_ranked_the_same_every_time(
    question: str, documents: list[tuple[str, list[str]]]
):
    first = ranked(question, documents)
    assert first == ranked(question, documents)
    assert sorted(first) == sorted(text for _, inside in documents for text in inside)
