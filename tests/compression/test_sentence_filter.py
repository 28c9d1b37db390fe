"""Words come from the best sentences only, if that is asked for."""

from __future__ import annotations

import numpy as np

from unabridged.compression.blocks import blocks_of
from unabridged.compression.job import Job
from unabridged.compression.prompt import Segment, Where
from unabridged.compression.sentence_filter import LAST, _sentences, filtered
from unabridged.compression.surprise import Scored
from unabridged.policies.policy import Policy

TEXT = "Rain fell on the town. Alder kept the tide book. Tea was served at noon. All went home. "


def prepared(worth: dict[str, float], tokens: int = 5, **how: object) -> tuple[Job, Scored]:
    segment = Segment(kind="document", text=TEXT, where=Where(path=(), start=0))
    job = Job(
        segments=(segment,),
        question="",
        tokens=tokens,
        count=lambda text: len(text.split()),
        policy=Policy.model_validate({"perplexity": how}),
    )
    [block] = blocks_of(job)
    values = np.array([worth.get(TEXT[u.start : u.end].strip(" ."), 1.0) for u in block.units])
    return job, Scored(block=block, values=values, mean=1.0)


def let_through(job: Job, scored: Scored) -> str:
    [found] = filtered(job, [scored])
    units = zip(scored.block.units, found.values, strict=True)
    return "".join(TEXT[u.start : u.end] for u, value in units if value > -LAST / 2).strip()


def test_the_sentence_of_the_highest_worth_passes() -> None:
    assert let_through(*prepared({"Alder": 9.0}, tokens=3)) == "Alder kept the tide book."


def test_more_room_lets_more_sentences_in() -> None:
    found = let_through(*prepared({"Alder": 9.0, "Tea": 5.0}, tokens=6))
    assert found == "Alder kept the tide book. Tea was served at noon."


def test_first_last_and_best_sentences_can_be_held() -> None:
    held = {"keep_first_sentences": 1, "keep_last_sentences": 1}
    found = let_through(*prepared({"Alder": 9.0}, tokens=5, **held))
    assert found == "Rain fell on the town. All went home."
    found = let_through(*prepared({"Tea": 9.0}, tokens=3, keep_sentences=1))
    assert found == "Tea was served at noon."


def test_words_of_other_sentences_come_last_but_come() -> None:
    job, scored = prepared({"Alder": 9.0}, tokens=3)
    [found] = filtered(job, [scored])
    assert len(found.values) == len(scored.values)
    assert found.share <= scored.share


def test_first_and_last_sentences_are_those_of_each_document_not_of_each_stretch_of_it() -> None:
    texts = [
        " ".join(f"Line {n} of {name} says what was seen there." for n in range(60))
        for name in ("harbour", "quarry")
    ]
    where = Where(path=(), start=0)
    policy = {"keep_first_sentences": 2, "keep_last_sentences": 1, "sentence_filter": True}
    job = Job(
        segments=tuple(Segment(kind="document", text=text, where=where) for text in texts),
        question="",
        tokens=1,
        count=lambda text: len(text.split()),
        policy=Policy.model_validate({"perplexity": policy}),
    )
    blocks = blocks_of(job)
    assert len(blocks) > 4, "a document has to be read in several stretches"
    scored = [Scored(block=b, values=np.ones(len(b.units)), mean=1.0) for b in blocks]
    held = [
        job.segments[scored[s.block].block.segment].text[slice(*s.span)].split()[1]
        for s in _sentences(job, scored)
        if s.held
    ]
    assert held == ["0", "1", "59"] * 2
