"""What means one thing and must not be cut in two, in many scripts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.entities import entities, quotes


def found(text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in entities(text)]


@pytest.mark.parametrize(
    ("text", "kind", "entity"),
    [
        ("It was the Treaty of Ghent that", "name", "Treaty of Ghent"),
        ("then Ludwig van Beethoven wrote", "name", "Ludwig van Beethoven"),
        ("by Владимир Вернадский in", "name", "Владимир Вернадский"),
        ("signed on 24 December 1814 in", "date", "24 December 1814"),
        ("on December 24, 1814 in", "date", "December 24, 1814"),
        ("a span of 1,402 km here", "unit", "1,402 km"),
        ("길이는 1,402미터이다", "unit", "1,402미터"),
        ("it cost $12.50 then", "number", "$12.50"),
        ("user raj_sanchez_7340 paid", "identifier", "raj_sanchez_7340"),
        ("see https://example.com/docs/page now", "url", "https://example.com/docs/page"),
        ("open src/main/parse.py first", "path", "src/main/parse.py"),
        ("ヴィルヘルム・レントゲンは", "name", "ヴィルヘルム・レントゲン"),
    ],
)
def test_an_entity_is_found_whole(text: str, kind: str, entity: str) -> None:
    assert (kind, entity) in found(text)


@given(st.text())
def test_entities_come_in_order_and_none_lies_inside_another(text: str) -> None:
    last = 0
    for one in entities(text):
        assert last <= one.start < one.end <= len(text)
        last = one.end


def test_with_edges_only_what_one_lies_inside_of_is_found() -> None:
    text = "Ludwig van Beethoven met Johann Wolfgang von Goethe on 3 May 1801"
    found = entities(text, [20, text.index("gang"), len(text)])
    assert [text[e.start : e.end] for e in found] == ["Johann Wolfgang von Goethe"]


def test_short_quotations_are_found_with_their_marks() -> None:
    text = 'She said "not one drop" and 「一滴も」 again.'
    assert [text[q.start : q.end] for q in quotes(text)] == ['"not one drop"', "「一滴も」"]
