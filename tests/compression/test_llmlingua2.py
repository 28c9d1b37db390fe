"""What LLMLingua-2 keeps: the likeliest words, to the exact budget."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from judging import Judging

from unabridged.compression.classifier import NoClassifier
from unabridged.compression.job import Job
from unabridged.compression.kept import extract, subset, valid
from unabridged.compression.llmlingua2 import labelled, llmlingua2, once, priced, worth
from unabridged.compression.prompt import Segment, Where
from unabridged.compression.select import Unit
from unabridged.compression.sentences import words
from unabridged.policies.policy import Policy, Words

STORY = (
    "The harbour master wrote the tides into a green book. It was not signed in March 2019.\n"
    "Nobody in the town had seen the lighthouse dark since then; who paid the 4,500 euros?"
)
KOREAN = "등대지기는 매일 저녁 등불을 켰다. 港の人々は船を待っていた。灯台的灯亮着。"


def count(text: str) -> int:
    return len(words(text))


def job(
    texts: Sequence[str],
    tokens: int,
    classifier: Judging | None,
    question: str = "",
    **wishes: object,
) -> Job:
    segments = tuple(
        Segment(kind="document", text=text, where=Where(path=("p",), start=1000 * i))
        for i, text in enumerate(texts)
    )
    return Job(
        segments=segments,
        question=question,
        tokens=tokens,
        count=count,
        policy=Policy(compressor="llmlingua2", words=Words(**wishes)),
        classifier=lambda: classifier,
    )


def text(cut_of: Job, index: int = 0) -> str:
    return extract(cut_of.segments[index].text, llmlingua2(cut_of).kept[index])


def test_the_likeliest_words_stay() -> None:
    judging = Judging({"tides": 0.9, "book": 0.8, "harbour": 0.7})
    short = text(job([STORY.split(".")[0]], 3, judging))
    assert short.split() == ["harbour", "tides", "book"]


@settings(max_examples=60)
@given(
    st.integers(0, 60), st.sampled_from([STORY, KOREAN, f"{STORY} {KOREAN}", "a\r\n\n b 👩‍👩‍👧!"])
)
def test_the_budget_is_met_to_within_one_word_and_nothing_is_invented(
    tokens: int, source: str
) -> None:
    work = job([source, source], tokens, Judging())
    cut = llmlingua2(work)
    assert all(valid(k, len(source)) for k in cut.kept)
    used = sum(count(extract(source, k)) for k in cut.kept)
    whole = 2 * count(source)
    assert used <= max(tokens, 0) or used == whole <= tokens
    if tokens < whole:
        assert used >= min(tokens, whole) - 3  # a number with its unit goes as one


def test_a_smaller_budget_keeps_a_part_of_what_a_larger_one_keeps() -> None:
    plain = STORY.partition(" It was")[0].lower()  # names and numbers may be too long for a gap
    cuts = [llmlingua2(job([plain, plain], n, Judging())).kept for n in range(1, 20)]
    for smaller, larger in pairwise(cuts):
        assert all(subset(a, b) for a, b in zip(smaller, larger, strict=True))


def test_negations_come_before_all_other_words() -> None:
    assert "not" in text(job([STORY], 3, Judging()))


def test_numbers_with_their_units_stay_or_go_whole() -> None:
    for tokens in range(1, 30):
        short = text(job([STORY], tokens, Judging()))
        assert ("4,500" in short) or ("500" not in short)


def test_numbers_come_first_where_digits_are_forced() -> None:
    judging = Judging({"2019": 0.0, "4,500": 0.0})
    assert "2019" not in text(job([STORY], 6, judging))
    assert "2019" in text(job([STORY], 6, judging, force_digits=True))


def test_forced_words_stay_beyond_the_budget() -> None:
    work = job([STORY], 1, Judging())
    forced = Job(
        segments=work.segments,
        question="",
        tokens=1,
        count=count,
        policy=Policy(compressor="llmlingua2", force=("green book",)),
        classifier=lambda: Judging(),
    )
    assert "green book" in text(forced)


def test_no_space_is_invented_in_chinese_and_japanese() -> None:
    short = text(job([KOREAN], 14, Judging()))
    kept = iter(KOREAN)
    assert all(character in kept for character in short)


def test_the_question_decides_which_document_has_its_turn_first() -> None:
    documents = ["One cat slept in the kitchen all day.", "The lamp was paid by the council twice."]
    work = job(documents, 6, Judging(), question="Who paid the lamp?")
    cut = llmlingua2(work)
    assert len(extract(documents[1], cut.kept[1])) > len(extract(documents[0], cut.kept[0]))
    assert "BM25" in cut.why[1]
    blind = llmlingua2(job(documents, 6, Judging(), question="Who?", by_question=None))
    assert "BM25" not in blind.why[0]


def test_a_classifier_that_asks_ranks_documents_itself() -> None:
    judging = Judging(asks=True)
    documents = ["One cat slept in the kitchen all day.", "The lamp was paid by the council twice."]
    cut = llmlingua2(
        job(documents, 6, judging, question="paid lamp council", by_question="classifier")
    )
    assert judging.asked == ["paid lamp council"] * 2
    assert len(extract(documents[1], cut.kept[1])) > len(extract(documents[0], cut.kept[0]))
    assert "classifier" in cut.why[1]


def test_the_context_filter_drops_the_least_likely_documents_whole() -> None:
    judging = Judging({"gold": 1.0})
    work = job(["a b c d", "gold gold gold x", "e f g h"], 6, judging, contexts=1)
    cut = llmlingua2(work)
    assert [bool(kept) for kept in cut.kept] == [False, True, False]
    rate = llmlingua2(job(["a b c d", "gold gold gold x"], 6, judging, context_rate=0.5))
    assert not rate.kept[0]


def test_short_turns_whose_frame_costs_more_than_they_say_go_first() -> None:
    segments = tuple(
        Segment(
            kind="document",
            text=head + said,
            where=Where(path=("p",), start=100 * i),
            head=len(head),
        )
        for i, (head, said) in enumerate(
            [("A said in the long meeting : ", "well"), ("B : ", "the budget is approved today")]
        )
    )
    work = Job(
        segments=segments,
        question="",
        tokens=6,
        count=count,
        policy=Policy(compressor="llmlingua2"),
        classifier=lambda: Judging({"well": 0.3, "approved": 0.28}),
    )
    assert not llmlingua2(work).kept[0]


def test_pricing_never_changes_the_order_within_a_segment() -> None:
    likely = np.array([0.9, 0.1, 0.5, 0.5, 0.0])
    costs = np.array([2.0, 1.0, 1.0, 3.0, 1.0])
    plain, framed = priced(likely, costs, 0), priced(likely, costs, 20)
    assert np.argsort(-plain, kind="stable").tolist() == np.argsort(-framed, kind="stable").tolist()
    assert framed.max() < plain.max()


def test_a_line_break_is_worth_a_part_of_its_line_and_what_has_no_token_stays() -> None:
    source = "tide\n\u200d"
    units = [Unit(0, 0, 4), Unit(0, 4, 5), Unit(0, 5, 6)]
    assert worth(source, units, np.array([0.6, np.nan, np.nan])).tolist() == [0.6, 0.3, 1.0]


def test_equal_marks_with_nothing_between_them_are_one() -> None:
    source = "a . . b . \n\n c"
    assert extract(source, once(source, ((0, len(source)),))) == "a . b . \n\n c"
    assert once(source, ((2, 5),)) == ((2, 3),) or extract(source, once(source, ((1, 5),))) == " ."


def test_words_come_with_their_labels() -> None:
    assert labelled(["a b c"], [((0, 1), (3, 5))]) == [("a", True), ("b", False), ("c", True)]


def test_what_fits_is_not_touched_and_needs_no_model() -> None:
    assert llmlingua2(job([STORY], 500, None)).why == ("fits its budget",)


def test_without_weights_it_says_which() -> None:
    with pytest.raises(NoClassifier, match="embedded"):
        llmlingua2(job([STORY], 5, None))


def test_a_target_of_tokens_lets_documents_in_by_their_tokens_not_by_their_number() -> None:
    judging = Judging({"gold": 1.0, "silver": 0.9})
    documents = ["gold " * 50, "silver silver silver", "a b c d", "e f g h"]
    for tokens, expected in ((40, [True, False]), (53, [True, True])):
        cut = llmlingua2(job(documents, 52, judging, context_tokens=tokens))
        assert [bool(kept) for kept in cut.kept] == [*expected, False, False]
