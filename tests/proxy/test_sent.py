"""What is told of a body that was sent: tokens by kind, why it was not cut, what is cached."""

from __future__ import annotations

import pytest

from unabridged.compression.plan import Plan
from unabridged.compression.prompt import Compressed, Prompt, Segment, Where
from unabridged.proxy.prefixes import Known, Mark
from unabridged.proxy.price import Price
from unabridged.proxy.sent import ProviderCache, by_kind, provider_cache, why_untouched

PRICE = Price(model="m", rates={}, cache_minimum=100)


def compressed(*after: int, note: str = "") -> Compressed:
    """Segments of 10, 20, 30... tokens."""
    kinds = ("instruction", "document", "document")
    segments = tuple(
        Segment(kind=kinds[n], text="x", where=Where(path=(), start=0), why=f"found {n}")
        for n in range(len(after))
    )
    return Compressed(
        prompt=Prompt(body="", segments=segments, note=note),
        kept=(((0, 1),),) * len(after),
        why=tuple(f"why {n}" for n in range(len(after))),
        tokens_before=tuple(10 * (n + 1) for n in range(len(after))),
        tokens_after=after,
    )


def test_tokens_of_a_kind_are_added_up() -> None:
    found = compressed(10, 5, 3)
    assert by_kind(found, found.tokens_after) == {"instruction": 10, "document": 8}


def test_the_reason_is_that_of_the_longest_segment_unless_all_have_one() -> None:
    plan = Plan(counts=(10, 20), grants=(), asked=None)
    assert why_untouched(compressed(10, 19), plan) == ""
    assert why_untouched(compressed(10, 20), plan) == "why 1"
    assert why_untouched(compressed(10, 20, note="no question"), plan) == "no question"
    assert why_untouched(compressed(), plan) == "nothing was found to cut"


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([None, None], None),
        ([Known(whole=500, sent=200, cut="a", uses=1), None], ProviderCache(uncut=500, sent=200)),
        ([Known(whole=500, sent=200, cut="b", uses=1), None], ProviderCache(uncut=500, sent=0)),
        ([Known(whole=500, sent=99, cut="a", uses=1), None], ProviderCache(uncut=500, sent=0)),
        ([Known(whole=99, sent=99, cut="a", uses=1), None], ProviderCache(uncut=0, sent=0)),
    ],
)
def test_a_beginning_is_cached_if_it_went_out_so_and_is_long_enough(
    known: list[Known | None], expected: ProviderCache | None
) -> None:
    marks = (Mark(end=1, name="1", cut="a"), Mark(end=2, name="2", cut="c"))
    assert provider_cache(marks, known, PRICE) == expected
    assert provider_cache(marks, known, None) is None


def test_a_provider_that_forgot_ours_would_have_forgotten_the_uncut_one() -> None:
    assert ProviderCache(uncut=500, sent=200).without_us(200) == 500
    assert ProviderCache(uncut=500, sent=200).without_us(0) == 0
    assert ProviderCache(uncut=500, sent=0).without_us(0) == 500
