"""Documents in a stretch of source text."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.passages import divide, json_texts, paragraphs, speakers

ONE = "The river rises in the northern hills and runs south for two hundred miles."
TWO = "Maria Keller founded the observatory in 1911 and kept its records until 1938."


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}\n\n{TWO}",
        f"[1] {ONE}\n[2] {TWO}",
        f"1. {ONE}\n2. {TWO}",
        f"Title: a\n{ONE}\nTitle: b\n{TWO}",
        f"{ONE}\n---\n{TWO}",
        f"## a\n{ONE}\n## b\n{TWO}",
        f"<doc>{ONE}</doc>\n<doc>{TWO}</doc>",
        json.dumps([ONE, TWO]),
        f"Passage 1: {ONE}\nPassage 2: {TWO}",
    ],
)
def test_each_document_is_a_piece(text: str) -> None:
    found = [p for p in divide(text, 0, len(text), "test") if p.kind == "document"]
    assert len(found) == 2
    assert ONE in text[found[0].start : found[0].end]
    assert TWO in text[found[1].start : found[1].end]


@given(st.lists(st.sampled_from([ONE, "\n", "\n\n", "1. ", "2. ", "---\n", "```\n", "<doc>", "</doc>", "## a\n", "A: ", "B: ", '["', '"]'])))  # fmt: skip  # noqa: E501
def test_the_pieces_tile_the_stretch(bits: list[str]) -> None:
    text = "".join(bits)
    found = divide(text, 0, len(text), "test")
    assert "".join(text[p.start : p.end] for p in found) == text
    assert all(a.end == b.start for a, b in pairwise(found))
    assert all(p.head + p.tail <= p.end - p.start for p in found)


def test_titles_and_addresses_in_json_records_are_not_passages() -> None:
    text = json.dumps([{"url": ONE, "text": ONE}, {"title": TWO, "text": TWO}])
    found = [p for p in json_texts(text, 0, len(text), "document") if p.kind == "document"]
    assert [text[p.start : p.end] for p in found] == [ONE, TWO]
    assert all(p.escaped for p in found)


def test_a_transcript_has_turns_of_several_speakers() -> None:
    text = "Anna: hello there\nBen: hi\n" * 4
    assert len(speakers(text, 0, len(text))) == 8
    assert speakers("Anna: hello\n" * 9, 0, 108) == []


@given(st.text(alphabet="a \n\r\t"))
def test_paragraphs_tile_a_text(text: str) -> None:
    assert "".join(text[a:b] for a, b in paragraphs(text, 0, len(text))) == text
