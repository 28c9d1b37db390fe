"""A text restored in pieces is the text restored whole."""

from __future__ import annotations

from cut_prompts import COMPRESSED, ORIGINAL, cut_up, kept_spans, replies
from hypothesis import given, settings
from hypothesis import strategies as st

from unabridged.recovery.index import Index
from unabridged.recovery.restore import restore
from unabridged.recovery.text_stream import MOST_HELD_WORDS, TextRestorer

INDEX = Index.of_texts(ORIGINAL, COMPRESSED)


@given(st.data(), replies)
@settings(max_examples=300)
def test_how_it_is_chopped_changes_nothing(data: st.DataObject, reply: str) -> None:
    for pieces in (list(reply), data.draw(cut_up(reply))):
        restorer = TextRestorer(INDEX)
        assert "".join(map(restorer.feed, pieces)) + restorer.flush() == restore(reply, INDEX).text


@given(st.data(), kept_spans(ORIGINAL), replies)
@settings(max_examples=200)
def test_nor_does_it_for_any_cuts(
    data: st.DataObject, kept: tuple[tuple[int, int], ...], reply: str
) -> None:
    index = Index.of_spans([ORIGINAL], [kept])
    restorer = TextRestorer(index)
    pieces = data.draw(cut_up(reply))
    assert "".join(map(restorer.feed, pieces)) + restorer.flush() == restore(reply, index).text


@given(replies)
def test_few_words_are_held(reply: str) -> None:
    restorer = TextRestorer(INDEX)
    for char in reply:
        restorer.feed(char)
        assert len(restorer._held.split()) <= MOST_HELD_WORDS


def test_text_that_begins_nothing_is_never_held() -> None:
    restorer = TextRestorer(INDEX)
    for piece in ("I", " thi", "nk the", " answer", " is ", "forty", "-two."):
        assert restorer.feed(piece) == piece


def test_what_may_begin_a_form_is_held_until_it_is_decided() -> None:
    restorer = TextRestorer(INDEX)
    given_back = [restorer.feed(p) for p in ("By Wil", "helm ", "Rön", "tg", " himself")]
    assert given_back == ["By ", "", "", "", "Wilhelm Röntgen himself"]


def test_an_index_with_nothing_in_it_holds_nothing() -> None:
    restorer = TextRestorer(Index())
    assert restorer.feed("Wil") == "Wil"
    assert restorer.flush() == ""
