"""What was cut inside a request, made ready to be found."""

from __future__ import annotations

from cut_prompts import COMPRESSED, ORIGINAL, kept_spans
from hypothesis import given, settings

from unabridged.compression.prompt import Compressed, Prompt, Segment, Where
from unabridged.recovery.align import align
from unabridged.recovery.index import Index, head


def shorts(index: Index) -> set[str]:
    return {one.short for forms in index.by_head.values() for f in forms for one in f.readings}


def test_an_uncut_request_has_nothing_to_find() -> None:
    assert Index.of_spans([ORIGINAL], [((0, len(ORIGINAL)),)]).by_head == {}
    assert Index.of_spans([ORIGINAL], [()]).by_head == {}


def test_the_index_of_a_request_is_that_of_its_texts() -> None:
    segment = Segment(kind="document", text=ORIGINAL, where=Where(path=(), start=0))
    compressed = Compressed(
        prompt=Prompt(body=ORIGINAL, segments=(segment,)),
        kept=(align(ORIGINAL, COMPRESSED),),
        why=("cut",),
        tokens_before=(1,),
        tokens_after=(1,),
    )
    assert shorts(Index.build(compressed)) == shorts(Index.of_texts(ORIGINAL, COMPRESSED))
    assert "Wilhelm Röntg" in shorts(Index.build(compressed))


def test_a_form_that_also_stands_in_its_own_right_is_not_one() -> None:
    original = "Ludwig van Beethoven wrote it. Ludwig Beethoven copied it."
    assert "Ludwig Beethoven" not in shorts(
        Index.of_texts(original, "Ludwig Beethoven wrote it. Ludwig Beethoven copied it.")
    )


@given(kept_spans(ORIGINAL))
@settings(max_examples=60)
def test_every_form_is_found_by_its_head(kept: tuple[tuple[int, int], ...]) -> None:
    index = Index.of_spans([ORIGINAL], [kept])
    for first, forms in index.by_head.items():
        assert index.may_begin(first)
        for form in forms:
            assert head(form.lead + " ".join(form.parts)) == first


def test_what_begins_no_form_is_known_not_to() -> None:
    index = Index.of_texts(ORIGINAL, COMPRESSED)
    assert index.may_begin("Wil")
    assert not index.may_begin("Zebra")
