"""Questions about the kept spans of one text."""

from __future__ import annotations

from unabridged.recovery.cuts import Cuts

TEXT = "The Treaty of Ghent was signed."
KEPT = ((0, 10), (13, 16), (19, 31))  # "The Treaty" + " Gh" + " was signed."


def test_what_was_sent_is_the_kept_spans_joined() -> None:
    assert Cuts(TEXT, KEPT).shown == "The Treaty Gh was signed."


def test_a_kept_character_is_found_in_what_was_sent() -> None:
    cuts = Cuts(TEXT, KEPT)
    for start, end in KEPT:
        for at in range(start, end):
            assert cuts.shown[cuts.place(at)] == TEXT[at]


def test_only_cuts_strictly_inside_a_stretch_touch_it() -> None:
    cuts = Cuts(TEXT, KEPT)
    assert cuts.touched(4, 19)
    assert not cuts.touched(20, 31)
    assert not cuts.touched(0, 10)


def test_a_stretch_is_covered_only_if_none_of_it_was_cut() -> None:
    cuts = Cuts(TEXT, KEPT)
    assert cuts.covers(4, 10)
    assert not cuts.covers(4, 13)
    assert not cuts.covers(14, 19)


def test_the_kept_pieces_of_a_stretch_are_clipped_to_it() -> None:
    assert Cuts(TEXT, KEPT).within(4, 19) == [(4, 10), (13, 16)]


def test_a_text_that_was_kept_whole_has_no_edges() -> None:
    assert Cuts(TEXT, ((0, len(TEXT)),)).edges == []
