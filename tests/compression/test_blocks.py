"""Blocks tile what may be cut, and never begin inside what must not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.blocks import (
    BLOCK,
    at_best,
    blocks_of,
    must_stay,
    passage_of,
    places,
    text_of,
)
from unabridged.compression.extractive import units_of
from unabridged.compression.job import Job
from unabridged.compression.prompt import Kind, Segment, Where
from unabridged.policies.policy import Policy


def job(text: str, kind: Kind = "document", head: int = 0, **policy: object) -> Job:
    segment = Segment(kind=kind, text=text, where=Where(path=(), start=0), head=head)
    return Job(
        segments=(segment,), question="", tokens=5, count=len, policy=Policy.model_validate(policy)
    )


@given(st.text(alphabet=st.sampled_from("ab 등。.\n5%`<{"), max_size=300))
def test_blocks_and_their_words_tile_the_text(text: str) -> None:
    work = job(text)
    blocks = blocks_of(work)
    assert "".join(text_of(work, block) for block in blocks) == text
    units = sorted(span for block in blocks for u in block.units for span in u.spans)
    assert "".join(text[a:b] for a, b in units) == text


def test_a_single_line_of_many_characters_is_cut_at_words() -> None:
    text = "tide " * 4000
    work = job(text)
    blocks = blocks_of(work)
    assert len(blocks) >= 1
    assert sum(len(text_of(work, block)) for block in blocks) == len(text)
    assert max(len(text_of(work, block)) for block in blocks) <= BLOCK


def test_a_passage_is_read_behind_its_title() -> None:
    work = job("Title: Tides. The sea rose.", head=14)
    [block] = blocks_of(work)
    assert passage_of(work, block) == "Title: Tides. The sea rose."
    assert text_of(work, block) == "The sea rose."


def test_a_demonstration_is_one_block_whose_numbers_come_first() -> None:
    work = job("Q: 3 pens and 4 more?\nA: 3 + 4 = 7. It is 7.", kind="demonstration")
    [block] = blocks_of(work)
    assert block.sealed
    first = {work.segments[0].text[u.start : u.end].strip() for u in block.first}
    assert {"3", "4"} <= first


def test_json_of_a_tool_and_what_the_policy_forces_stay() -> None:
    work = job('{"a": 1, "b": "some words"}', kind="tool_output")
    [block] = blocks_of(work)
    assert must_stay(block, work) == list(block.units)
    work = job("some codeword here", force=["codeword"])
    [block] = blocks_of(work)
    assert [work.segments[0].text[u.start : u.end] for u in must_stay(block, work)] == [" codeword"]


def test_a_block_is_worth_what_its_best_sentence_is() -> None:
    text = "One sentence stands here. " * 60
    work = job(text)
    blocks = blocks_of(work)
    units = units_of(work.segments, ())
    at = places(blocks, units)
    assert at == sorted(at)
    assert set(at) == set(range(len(blocks)))
    ranks = np.zeros(len(units))
    ranks[at.index(1)] = 7.0
    assert at_best(blocks, at, ranks).tolist() == [0.0, 7.0, *[0.0] * (len(blocks) - 2)]
