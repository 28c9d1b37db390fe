"""A sentence is worth what it says, where it stands, and what leads to it."""

from __future__ import annotations

from unabridged.compression.relevance import read, relevance


def best(question: str, documents: dict[str, list[str]]) -> list[str]:
    texts = [text for found in documents.values() for text in found]
    of = [i for i, found in enumerate(documents.values()) for _ in found]
    ranks, _ = relevance(question, read(texts, of, list(documents)))
    return [texts[i] for i in sorted(range(len(texts)), key=lambda i: -ranks[i])]


def test_the_second_step_of_a_question_is_found_through_the_title_that_the_first_names():
    ranked = best(
        "In which city was the director of the film Blue Harbour born?",
        {
            "Document [1](Title: Blue Harbour) ": ["Blue Harbour is a film directed by Ana Costa."],
            "Document [2](Title: Iron Gate) ": ["Iron Gate is a novel.", "It sold well."],
            "Document [3](Title: Ana Costa) ": [
                "She grew up in Porto.",
                "Her mother taught music.",
            ],
        },
    )
    assert ranked[0].startswith("Blue Harbour")
    assert set(ranked[1:3]) == {"She grew up in Porto.", "Her mother taught music."}


def test_a_word_already_covered_counts_less_than_one_still_wanted():
    ranked = best(
        "height of Everest and length of Nile",
        {"a": ["Everest height is 8849 m."], "b": ["The height of Everest grew."],
         "c": ["Nile runs north, 6650 km in length."]},
    )  # fmt: skip
    assert ranked.index("Nile runs north, 6650 km in length.") < 2


def test_neighbours_of_a_good_sentence_come_before_strangers():
    ranked = best(
        "zebra stripes", {"a": ["Zebra stripes vary.", "They help."], "b": ["Cars rust."]}
    )
    assert ranked == ["Zebra stripes vary.", "They help.", "Cars rust."]


def test_without_a_question_documents_take_turns_and_the_reason_says_why():
    sentences = ["A one.", "A two.", "B one.", "B two."]
    ranks, why = relevance("", read(sentences, [0, 0, 1, 1], ["", ""]))
    assert ranks.tolist() == [0, -1, 0, -1]
    assert why == "the first sentences of each (nothing is asked)"
    _, why = relevance("xylophone", read(sentences, [0, 0, 1, 1], ["", ""]))
    assert why == "the first sentences of each (no word of the question is there)"
