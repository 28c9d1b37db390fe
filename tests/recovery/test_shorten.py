"""What compression left of each entity."""

# ruff: noqa: E501  (samples read better unbroken)
from __future__ import annotations

import pytest

from unabridged.compression.vocabulary import Vocabulary
from unabridged.recovery.align import align
from unabridged.recovery.cuts import Cuts
from unabridged.recovery.shorten import shortenings, squeeze, with_neighbours


def pairs(original: str, compressed: str) -> set[tuple[str, str]]:
    cuts = Cuts(original, align(original, compressed))
    return {(s.short, s.full) for s in shortenings(cuts, 0, Vocabulary([original]), None)}


@pytest.mark.parametrize(
    ("original", "compressed", "short", "full"),
    [
        ("Here Wilhelm Röntgen won.", "Here Wilhelm Röntg won.", "Wilhelm Röntg", "Wilhelm Röntgen"),
        ("By the Treaty of Ghent it", "By the Treaty Ghent it", "Treaty Ghent", "Treaty of Ghent"),
        ("in the Bank of China Tower now", "in the Bank China Tower now", "Bank China", "Bank of China"),
        ("a span of 1,402 km is", "a span of 1,402 is", "1,402", "1,402 km"),
        ("그는 빌헬름 뢴트겐이 했다", "그는 빌헬름 뢴트 했다", "뢴트", "뢴트겐"),
        ("see src/main/parse.py here", "see src/main/pa.py here", "src/main/pa.py", "src/main/parse.py"),
    ],
)  # fmt: skip
def test_an_entity_that_was_cut_inside_is_found(
    original: str, compressed: str, short: str, full: str
) -> None:
    assert (short, full) in pairs(original, compressed)


def test_words_dropped_between_entities_are_nobodys_shortening() -> None:
    assert (
        pairs(
            "it is generally considered safe but not recommended here", "it is not recommended here"
        )
        == set()
    )


def test_the_words_around_a_shortening_are_those_that_were_kept() -> None:
    original = "the old engineer Wilhelm Röntgen found the rays"
    cuts = Cuts(original, align(original, "engineer Wilhelm Röntg found rays"))
    vocabulary = Vocabulary([original])
    (one,) = shortenings(cuts, 0, vocabulary, None)
    near = with_neighbours(one, cuts, vocabulary)
    assert near.before == ("engineer",)
    assert near.after == ("found",)


def test_runs_of_white_space_are_one_space() -> None:
    assert squeeze("  a\n\tb  ") == "a b"


def test_where_a_mark_alone_is_left_of_an_initial_no_name_is_made_of_it() -> None:
    original = "and then J. J. Thomson's model failed."
    cuts = Cuts(original, ((0, 10), (13, 22), (24, len(original))))
    assert "J. Thomson" in cuts.shown
    found = shortenings(cuts, 0, Vocabulary([original]), None)
    assert {one.full for one in found} <= {"J. J. Thomson"}


def test_of_a_quotation_no_mark_is_put_back_at_an_end_of_which_nothing_is_left() -> None:
    original = 'wrote "Fear of the Old Wolf? " (1962) and'
    kept = ((0, original.index("of")), (original.index("the"), original.index("?")))
    cuts = Cuts(original, (*kept, (original.index(" and"), len(original))))
    found = {(s.short, s.full) for s in shortenings(cuts, 0, Vocabulary([original]), None)}
    assert ('"Fear the Old Wolf', '"Fear of the Old Wolf') in found
