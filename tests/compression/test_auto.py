"""The cheapest way that meets the budget is taken, and the reason names it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from judging import Judging

from unabridged.compression.auto import auto
from unabridged.compression.job import Job
from unabridged.compression.kept import extract, valid
from unabridged.compression.prompt import Segment, Where
from unabridged.compression.tokens import counter
from unabridged.policies.policy import Policy

COUNT = counter("gpt-4o")
WHERE = Where(path=("x",), start=0)
PARAGRAPH = (
    "This paragraph is long enough to be worth looking for, since it has over eighty letters."
)


def job(texts: list[str], tokens: int, question: str = "", head: str = "") -> Job:
    segments = tuple(
        Segment(kind="document", text=head + text, where=WHERE, head=len(head)) for text in texts
    )
    return Job(segments=segments, question=question, tokens=tokens, count=COUNT, policy=Policy())


def test_what_the_clean_up_saves_is_enough_or_sentences_go_too():
    texts = [f"{PARAGRAPH}\n\nThe bridge opened in 1932.", f"{PARAGRAPH}\n\nCats sleep."]
    enough = auto(job(texts, 40))
    assert [w.split(":")[0] for w in enough.why] == ["auto, lossless"] * 2
    assert extract(texts[1], enough.kept[1]) == "\n\nCats sleep."
    short = auto(job(texts, 10, "When did the bridge open?"))
    assert [w.split(":")[0] for w in short.why] == ["auto, extractive"] * 2
    assert "The bridge opened in 1932." in extract(texts[0], short.kept[0])


def test_a_document_that_only_repeats_goes_with_its_head_and_costs_nothing():
    cut = auto(job([PARAGRAPH, PARAGRAPH], 10, "paragraph", head="Document: "))
    assert cut.kept[1] == ()
    assert cut.why[1] == "auto, lossless: repeats what stands before it"


@given(st.lists(st.text(max_size=120), max_size=4), st.integers(0, 60))
def test_spans_are_valid_and_within_budget_for_any_text(texts: list[str], tokens: int):
    work = job(texts, tokens, "word", head="D: ")
    cut = auto(work)
    kept = [extract(s.text, k) for s, k in zip(work.segments, cut.kept, strict=True)]
    assert all(valid(k, len(s.text)) for s, k in zip(work.segments, cut.kept, strict=True))
    assert sum(COUNT(text) for text in kept if text) <= tokens
    assert len(cut.why) == len(texts)


def test_where_nothing_is_asked_a_classifier_chooses_the_words():
    judging = Judging({"bridge": 0.9, "1932": 0.9})
    work = replace(job(["The bridge opened in 1932."], 5), classifier=lambda: judging)
    cut = auto(work)
    assert cut.why[0].startswith("auto, llmlingua2:")
    assert {"bridge", "1932"} <= set(extract(work.segments[0].text, cut.kept[0]).split())


def test_without_a_classifier_for_it_the_first_sentences_win():
    text = "The bridge opened. Then cats slept there for many years."
    asked = replace(job([text], 6, "When?"), classifier=Judging)
    hurried = replace(asked, question="", policy=Policy(deadline_ms=1))
    for work in (job([text], 6), asked, hurried):
        assert auto(work).why[0].startswith("auto, extractive:")
