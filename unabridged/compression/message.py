"""Finds instruction, examples, documents and question inside one message."""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from unabridged.compression.cues import about_text, commands, rules, width
from unabridged.compression.draft import Draft
from unabridged.compression.loose import judge_loose
from unabridged.compression.marks import Mark, gaps, llmlingua, numbered, outermost, outline, tags
from unabridged.compression.passages import (
    Piece,
    divide,
    document,
    paragraphs,
    tagged_document,
)
from unabridged.compression.prompt import Span
from unabridged.compression.prose import peel
from unabridged.compression.regions import (
    Region,
    behind_last,
    example_marks,
    lead_over,
    regions,
    units,
)

_HEADING = re.compile(r"^[ \t]{0,3}(#{1,6})[ \t]+\S", re.MULTILINE)
_LEAST_DOCUMENT = 60
_LEAST_SYSTEM_DOCUMENT = 200


def pieces(text: str, lo: int = 0, hi: int | None = None, *, system: bool = False) -> list[Piece]:
    """The pieces that tile a stretch of a message. `system`: the text is a system message, in
    which only marked documents and examples count."""
    hi = len(text) if hi is None else hi
    out: list[Piece] = []
    at = lo
    for part in llmlingua(text, lo, hi):
        out.extend(_unmarked(text, at, part.start, system=system))
        piece = document(text, part.start, part.end, "llmlingua tag", part.inner, part.close)
        if part.compress and part.rate != 1.0:
            out.append(replace(piece, rate=part.rate))
        else:
            why = "llmlingua tag: not to be compressed"
            out.append(replace(piece, kind="instruction", head=0, tail=0, protected=True, why=why))
        at = part.end
    out.extend(_unmarked(text, at, hi, system=system))
    return out


def _unmarked(text: str, lo: int, hi: int, *, system: bool) -> list[Piece]:
    if lo >= hi:
        return []
    marks = outline(text, lo, hi, plain=not system)
    shown = _example_spans(text, lo, hi, marks, system=system)
    marks = [
        m for m in marks if not m.closed or m.role == "examples" or not _inside(m.start, shown)
    ]
    if not system and not any(m.role == "documents" for m in marks):
        run = _numbered_passages(text, lo, hi)
        if not any(_inside(m.start, shown) for m in run):
            marks = outermost([*marks, *run])
    draft = Draft(text=text, system=system)
    _place(draft, regions(marks, lo, hi))
    judge_loose(draft)
    return draft.pieces


def _example_spans(
    text: str, lo: int, hi: int, marks: Sequence[Mark], *, system: bool
) -> list[Span]:
    """The first paragraphs of the regions of labelled examples: what stands there, such as the
    JSON of an answer, belongs to the example."""
    found = regions([m for m in marks if not m.closed], lo, hi)
    out: list[Span] = []
    for unit in units(text, found, sure=not system and any(m.role == "examples" for m in marks)):
        for region in found[unit.first : unit.last]:
            first = paragraphs(text, region.inner, region.close)
            out.append((region.start, first[0][1] if first else region.close))
    return out


def _inside(at: int, spans: Sequence[Span]) -> bool:
    number = bisect_right(spans, (at, sys.maxsize)) - 1
    return number >= 0 and at < spans[number][1]


def _numbered_passages(text: str, lo: int, hi: int) -> list[Mark]:
    """Numbered passages that nothing announces: long, even, and not a list of rules."""
    for run in sorted(numbered(text, lo, hi), key=lambda run: (run[0].start, -len(run))):
        stretches = gaps(run, hi)
        widths = sorted(width(text[a:b]) for a, b in stretches[:-1])
        median = widths[len(widths) // 2]
        bracket = text[run[0].start : run[0].inner].strip()[0] in "[【"
        beside = (
            text[max(lo, run[0].start - 600) : run[0].start] + text[stretches[-1][0] : hi][-600:]
        )
        strict = sum(
            rules(text[m.inner : b]) for m, (_, b) in zip(run, stretches, strict=True)
        ) * 3 > len(run)
        if (bracket and median >= 60) or (
            median >= 160 and not strict and (median >= 500 or about_text(beside))
        ):
            return run
    return []


def _place(draft: Draft, found: list[Region]) -> None:
    text = draft.text
    taken: dict[int, tuple[int, int, str]] = {}
    for a, b in example_marks(found):
        mark = found[a].mark
        taken[a] = b, found[b - 1].end, mark.why if mark else "example"
    covered = {i for a, (b, _, _) in taken.items() for i in range(a, b)}
    sure = any(r.role == "examples" for r in found)
    shown = units(text, found, sure=sure and not draft.system)
    for unit in shown:
        if unit.first not in covered:
            taken[unit.first] = unit.last, unit.end, unit.why
    if shown and not any(r.role == "question" for r in found[shown[-1].last :]):
        last = shown[-1]
        if last.first in taken:
            taken[last.first] = last.last, behind_last(text, found, shown), last.why
    number = 0
    while number < len(found):
        if number not in taken:
            _region(draft, found, number)
            number += 1
            continue
        following, end, why = taken[number]
        _demonstration(draft, found[number:following], end, why, more=following in taken)
        number = following


def _demonstration(
    draft: Draft, found: Sequence[Region], end: int, why: str, *, more: bool
) -> None:
    start = found[0].start
    mark = found[0].mark
    closed = mark is not None and mark.closed
    alone = len(found) == 1 and mark is not None and mark.role == "examples"
    if not closed and not more:
        end = min(end, lead_over(draft.text, start, end))
        end = peel(draft.text, start, end, sure=True) if alone else end
    piece = document(draft.text, start, end, why)
    draft.pieces.append(replace(piece, kind="demonstration", head=0))
    draft.add_loose(end, found[-1].end)


def _region(draft: Draft, found: Sequence[Region], number: int) -> None:
    region = found[number]
    mark = region.mark
    if mark is None:
        draft.add_loose(region.start, region.end)
    elif mark.role == "documents":
        _documents(draft, found, number)
    elif mark.role == "examples":
        _examples(draft, region)
    elif mark.role == "instruction" or draft.system:
        draft.add("instruction", region.start, region.end, mark.why)
    else:
        draft.add("question", region.start, region.end, mark.why)


def _examples(draft: Draft, region: Region) -> None:
    text, mark = draft.text, region.mark
    assert mark is not None
    draft.add("format", region.start, region.inner, mark.why)
    inside = [m for m in outermost(tags(text, region.inner, region.close)) if m.role == "examples"]
    close = region.close if mark.closed else lead_over(text, region.inner, region.close)
    if inside:
        at = region.inner
        for m in inside:
            draft.add("format", at, m.start, mark.why)
            draft.pieces.append(
                Piece(kind="demonstration", start=m.start, end=m.end or close, why=m.why)
            )
            at = m.end or close
        draft.add("format", at, close, mark.why)
    elif width(text[region.inner : close].strip()) >= _LEAST_DOCUMENT:
        inner = regions(outline(text, region.inner, close, plain=False), region.inner, close)
        shown = units(text, inner, sure=True) if mark.closed else []
        at = region.inner
        for unit in shown:
            if at < inner[unit.first].start:
                draft.add("instruction", at, inner[unit.first].start, mark.why)
            draft.add("demonstration", inner[unit.first].start, unit.end, unit.why)
            at = unit.end
        draft.add("demonstration", at, close, mark.why)
    else:
        draft.add("instruction", region.inner, close, mark.why)
    if mark.closed:
        draft.add("format", close, region.end, mark.why)
    else:
        draft.add_loose(close, region.end)


def _documents(draft: Draft, found: Sequence[Region], number: int) -> None:
    text, region = draft.text, found[number]
    mark = region.mark
    assert mark is not None
    least = _LEAST_SYSTEM_DOCUMENT if draft.system else _LEAST_DOCUMENT
    beside = [
        r.role == "documents"
        for r in (*found[max(0, number - 1) : number], *found[number + 1 : number + 2])
    ]
    body = text[region.inner : region.close].strip()
    if not body:
        draft.add("format", region.start, region.end, mark.why)
        return
    if width(body) < least and not (mark.single and any(beside)):
        draft.add(
            "instruction", region.start, region.end, f"{mark.why}, too short to be a document"
        )
        return
    if (
        beside[-1:] == [True]
        and number + 1 < len(found)
        and not (mark.single or mark.closed)
        and width(body) < 300
    ):
        # `Documents:` and a word about them, before the documents with marks of their own.
        draft.add("instruction", region.start, region.end, f"{mark.why}, before marked documents")
        return
    if mark.closed:
        draft.pieces.extend(_closed(text, region))
        return
    if draft.system and not mark.single and commands(body):
        draft.add("instruction", region.start, region.end, f"{mark.why}, but it gives orders")
        return
    own = _other_section(text, region, system=draft.system)
    if own < region.end:
        cut = replace(region, close=own, end=own)
        _documents(draft, [*found[:number], cut], number)
        draft.add_loose(own, region.end)
        return
    following_documents = number + 1 < len(found) and found[number + 1].role == "documents"
    asked = any(r.role == "question" for r in found)
    close = region.close
    if not following_documents:
        alone = mark.single and _single_paragraphs(text, found, number)
        first = paragraphs(text, region.inner, region.close)
        close = (
            first[0][1] if alone and first else peel(text, region.inner, region.close, sure=asked)
        )
    if mark.single:
        draft.pieces.append(document(text, region.start, close, mark.why, region.inner))
    else:
        draft.add("format", region.start, region.inner, mark.why)
        draft.pieces.extend(divide(text, region.inner, close, mark.why))
    draft.add_loose(close, region.end)


def _closed(text: str, region: Region) -> list[Piece]:
    mark = region.mark
    assert mark is not None
    inside = divide(text, region.inner, region.close, mark.why)
    if len(inside) == 1 and inside[0].kind == "document":
        piece = tagged_document(text, mark, region.end)
        return [
            replace(
                piece,
                start=region.start,
                protected=inside[0].protected,
                why=inside[0].why if mark.start == mark.inner else mark.why,
            )
        ]
    out = [
        Piece(kind="format", start=region.start, end=region.inner, why=mark.why),
        *inside,
        Piece(kind="format", start=region.close, end=region.end, why=mark.why),
    ]
    return [p for p in out if p.start < p.end]


def _other_section(text: str, region: Region, *, system: bool) -> int:
    """Where, under a heading of documents, a section of the prompt itself begins: a heading of
    the same rank over text that gives orders, or any such heading in a system message."""
    rank = _HEADING.match(text, region.start)
    if rank is None:
        return region.end
    own = region.end
    heads = [
        h.start()
        for h in _HEADING.finditer(text, region.inner, region.close)
        if len(h[1]) <= len(rank[1])
    ]
    for start in reversed(heads):
        if not system and not commands(text[start:own]):
            break
        own = start
    return own


def _single_paragraphs(text: str, found: Sequence[Region], number: int) -> bool:
    """Whether all numbered documents before this one are of one paragraph each."""
    before = [
        r
        for r in found[max(0, number - 50) : number]
        if r.role == "documents" and r.mark and r.mark.single
    ]
    return bool(before) and all(len(paragraphs(text, r.start, r.end)) == 1 for r in before)
