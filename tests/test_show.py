"""Pictures for the terminal say what they should, in colour and without."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from unabridged import show
from unabridged.compression.plan import Grant, Plan
from unabridged.compression.prompt import Compressed, Prompt, Segment, Where
from unabridged.policies.choose import Choice
from unabridged.policies.config import Upstream
from unabridged.policies.policy import Policy
from unabridged.recovery.text_stream import Piece

CONTENT = ("messages", 0, "content")


def segment(kind: str, text: str, start: int) -> Segment:
    where = Where(path=CONTENT, start=start)
    return Segment(kind=kind, text=text, where=where, why=f"a {kind}")  # type: ignore[arg-type]


COMPRESSED = Compressed(
    prompt=Prompt(
        body="{}",
        segments=(
            segment("document", "The bridge [red] opened in 1890.", 0),
            segment("format", "\n\n", 32),
            segment("question", "언제 열렸나요?", 34),
        ),
    ),
    kept=(((4, 10), (17, 32)), ((0, 2),), ((0, 8),)),
    why=("cut to its share", "holds the parts together", "never cut"),
    tokens_before=(8, 1, 6),
    tokens_after=(5, 1, 6),
)
PLAN = Plan(
    grants=(Grant(turn=0, kind="document", segments=(0,), before=8, tokens=5, why="the rest"),),
    counts=(8, 1, 6),
    asked=12,
)


def drawn(picture: RenderableType, *, colour: bool = False) -> str:
    out = io.StringIO()
    Console(
        file=out, width=100, force_terminal=colour, color_system="truecolor" if colour else None
    ).print(picture)
    return out.getvalue()


def test_the_diff_holds_every_word_and_strikes_what_was_cut() -> None:
    said = drawn(show.diff(COMPRESSED))
    assert "The bridge [red] opened in 1890." in said  # square brackets are text, not markup
    assert "언제 열렸나요?" in said
    assert "document  8 → 5 tokens  cut to its share" in said
    assert "question  6 tokens  never cut" in said
    assert "holds the parts together" not in said
    picture = show.struck("The bridge", ((4, 10),))
    assert [(span.start, span.end, span.style) for span in picture.spans] == [(0, 4, show.CUT)]


def test_control_characters_neither_reach_the_terminal_nor_shift_what_follows() -> None:
    picture = show.struck("a\r\n\x1b[2Jb\x07c", ((0, 7),))
    assert picture.plain == "a \n␛[2Jb␇c"
    assert [(s.start, s.end) for s in picture.spans] == [(7, 10)]


def test_a_text_that_is_kept_whole_has_nothing_struck() -> None:
    assert show.struck("abc", ((0, 3),)).spans == []
    assert [s.end for s in show.struck("abc", ()).spans] == [3]


def test_the_struck_words_are_struck_on_a_terminal() -> None:
    assert "\x1b[9;31mThe " in drawn(show.diff(COMPRESSED), colour=True)


def test_parts_add_up() -> None:
    rows = [line.split() for line in drawn(show.parts_table(COMPRESSED)).splitlines()]
    assert ["document", "8", "5", "62", "%"] in rows
    assert ["question", "6", "6", "100", "%"] in rows
    assert ["all", "15", "12", "80", "%"] in rows


def test_every_segment_has_its_place_its_numbers_and_both_reasons() -> None:
    said = drawn(show.segments_list(COMPRESSED, PLAN))
    assert "▎document  messages[0].content:0  8 tokens, asked 5, keeps 5" in said
    assert "▎question  messages[0].content:34  6 tokens, asked 6, keeps 6" in said
    assert "found: a document" in said
    assert "kept:  cut to its share" in said
    assert "format" not in said


def test_an_explanation_names_route_policy_and_upstream() -> None:
    choice = Choice(
        route="rag",
        policy_name="passages",
        policy=Policy(compressor="extractive", rate=0.25),
        upstream_name="default",
        upstream=Upstream(url="https://x/v1"),
        why="route 2 'rag': model matches 'gpt-4o*'",
    )
    said = drawn(show.explained(choice, COMPRESSED, PLAN))
    assert "route 2 'rag': model matches 'gpt-4o*'" in said
    assert "passages (extractive, rate 0.25)" in said
    assert "default, https://x/v1" in said


def test_a_receipt_shows_what_is_known() -> None:
    said = drawn(
        show.receipt_table({"x-unabridged-tokens-before": "15", "cache": "hit", "a": None})
    )
    assert "tokens before" in said
    assert "hit" in said
    assert " a " not in said


def test_restored_words_are_coloured_where_they_now_stand() -> None:
    """An edit names its place before recovery; each one moves those behind it."""
    edits = (
        Piece(start=4, end=8, was="1890", now="4 March 1890", source=(0, (0, 1)), why=""),
        Piece(start=12, end=16, was="John", now="Sir John", source=(0, (0, 1)), why=""),
    )
    picture = show.recovered("It: 4 March 1890 by Sir John", edits)
    assert [picture.plain[s.start : s.end] for s in picture.spans] == ["4 March 1890", "Sir John"]


@pytest.mark.parametrize(("part", "whole", "said"), [(1, 2, "50 %"), (0, 5, "0 %"), (0, 0, "")])
def test_a_share_of_nothing_is_nothing(part: int, whole: int, said: str) -> None:
    assert show.share(part, whole) == said
