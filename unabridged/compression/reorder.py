"""Where the best documents stand in what is sent (LongLLMLingua, section 4.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from unabridged.compression.prompt import Segment


def placed(ranks: Sequence[int], how: str) -> list[int]:
    """Documents in their new order, from `ranks`: their indexes, the best first.

    `original` sorts by index, `sort` keeps the best first, `two_stage` puts the best at both
    ends, where models read most attentively. Raises ValueError for any other name.
    """
    if how == "original":
        return sorted(ranks)
    if how == "sort":
        return list(ranks)
    if how == "two_stage":
        return [*ranks[::2], *reversed(ranks[1::2])]
    raise ValueError(f"unknown order {how!r}; known: original, sort, two_stage")


def order_of(segments: Sequence[Segment], ranks: Sequence[int], how: str) -> tuple[int, ...]:
    """The indexes of `segments` in the order they are to be sent; empty if that is how they came.

    Only documents that may move do, each within its own string: not those that are chained to
    their neighbours, and not one that ends otherwise than most do (the last often has no line
    break behind it: in the middle it would stick to the next one).
    """
    order = list(range(len(segments)))
    groups: dict[object, list[int]] = {}
    for i, segment in enumerate(segments):
        if segment.kind == "document" and not segment.chained and segment.text:
            groups.setdefault(segment.where.path, []).append(i)
    for members in groups.values():
        ends = {i: _space_behind(segments[i].text) for i in members}
        usual = Counter(ends.values()).most_common(1)[0][0]
        movable = [i for i in members if ends[i] == usual]
        wanted = placed([i for i in ranks if i in set(movable)], how)
        wanted += [i for i in movable if i not in set(wanted)]
        for place, i in zip(movable, wanted, strict=True):
            order[place] = i
    return () if order == sorted(order) else tuple(order)


def _space_behind(text: str) -> str:
    return text[len(text.rstrip()) :]
