"""The marks in a message."""

# Marks stay in one piece.
# ruff: noqa: E501
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.marks import fences, llmlingua, numbered, outermost, outline, tags

LONG = "The river rises in the northern hills and runs south for two hundred miles. " * 3


def test_a_tag_without_its_partner_is_plain_text() -> None:
    text = f"<context> <document>{LONG}</document> </example>"
    assert [text[m.inner : m.close] for m in tags(text, 0, len(text))] == [LONG]


def test_a_tag_that_is_only_mentioned_is_no_mark() -> None:
    text = f"Use what is between <context> and </context>.\n<context>\n{LONG}\n</context>"
    assert [m.start for m in tags(text, 0, len(text))] == [text.rindex("<context>")]


def test_marks_in_fenced_code_do_not_count() -> None:
    text = f"```\nContext: a\n<document>{LONG}</document>\n```\nQuestion: b"
    assert [m.role for m in outline(text, 0, len(text))] == ["question"]


def test_an_unclosed_fence_is_none() -> None:
    assert fences("```\nx\n", 0, 6) == []
    assert fences("```py\nx\n```\ny", 0, 13) == [(0, 12)]


def test_a_json_schema_is_no_document() -> None:
    schema = '{"type": "object", "properties": {"a": {"description": "' + LONG + '"}}}'
    data = '{"key": "' + LONG + '"}'
    assert outline(schema, 0, len(schema)) == []
    assert [m.why for m in outline(data, 0, len(data))] == ["JSON data"]


def test_numbers_must_count_up_from_the_start() -> None:
    runs = numbered("1. a\n2. b\n3. c\n[1] x\n[2] y\n7. z\n", 0, 34)
    assert sorted(len(run) for run in runs) == [2, 3]


def test_llmlingua_tags_need_their_end() -> None:
    text = "<llmlingua rate=0.5>a</llmlingua><llmlingua compress=False>b</llmlingua><llmlingua>"
    assert [(p.rate, p.compress) for p in llmlingua(text, 0, len(text))] == [
        (0.5, True),
        (None, False),
    ]


@given(
    st.lists(st.sampled_from(["<doc>", "</doc>", "<context>", "</context>", LONG, "\n", "Context:\n", "[\n", "-----\n", '"""']))
)  # fmt: skip
def test_marks_never_overlap(bits: list[str]) -> None:
    text = "".join(bits)
    found = outline(text, 0, len(text))
    assert found == outermost(found)
    edges = [edge for m in found for edge in (m.start, m.end or m.inner)]
    assert edges == sorted(edges)


def test_a_rate_of_0_in_a_tag_is_a_rate_and_one_above_1_is_none() -> None:
    text = "<llmlingua, rate=0>a</llmlingua><llmlingua, rate=2>b</llmlingua>"
    assert [p.rate for p in llmlingua(text, 0, len(text))] == [0.0, None]
