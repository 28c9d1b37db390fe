"""Tells a long text that bears no mark from the request beside it."""

from __future__ import annotations

import re

from unabridged.compression.cues import (
    about_text,
    asks,
    options,
    orders,
    personal,
    points_to_text,
    rules,
    width,
)
from unabridged.compression.passages import paragraphs, speakers
from unabridged.compression.prompt import Span

LONGEST_REQUEST = 700
"""Widest paragraph (see cues.width) that is taken for the writer's own words to the model."""

_LEAD = re.compile(r"[^\n]{3,240}?[:：]\s+")
_LEAST_SOURCE = 500
_LEAST_UNANNOUNCED = 3000


def peel(text: str, lo: int, hi: int, *, sure: bool) -> int:
    """Where the last document ends and the writer speaks again. `sure`: the question is
    elsewhere, so that only an order is taken off."""
    blocks = paragraphs(text, lo, hi)
    end = hi
    for start, stop in reversed(blocks[1:]):
        words = text[start:stop].strip()
        spoken = orders(words) or options(words) or _aside(words, start - lo, sure=sure)
        if width(words) > LONGEST_REQUEST or not spoken:
            break
        if sure and asks(words) and not about_text(words):
            break
        end = start
    if end == hi and not sure:
        line = text.rfind("\n", lo, lo + len(text[lo:hi].rstrip())) + 1
        words = text[line:hi].strip()
        if line > lo and asks(words) and width(words) < LONGEST_REQUEST:
            return line
    return end


def _aside(words: str, before: int, *, sure: bool) -> bool:
    """Whether a short last paragraph is the writer's own, behind long sources."""
    size = width(words)
    return (size <= 300 and not sure and points_to_text(words)) or (
        size <= 150 and before > 10 * len(words)
    )


def source_span(text: str, start: int, end: int, *, later: bool) -> Span:
    """The stretch between a request in front and a request behind."""
    blocks = paragraphs(text, start, end)
    if len(blocks) == 1:
        rows = text[start:end].split("\n")
        blocks, at = [], start
        for row in rows:
            blocks.append((at, min(at + len(row) + 1, end)))
            at += len(row) + 1
        blocks = [b for b in blocks if b[0] < b[1]]
    lo = start
    for a, b in blocks:
        words = text[a:b].strip()
        if width(words) > LONGEST_REQUEST or not orders(words):
            break
        lo = b
    lead = _LEAD.match(text, lo, end)
    if lo == start and lead and orders(lead[0]) and points_to_text(lead[0]):
        lo = lead.end()
    hi = peel(text, lo, end, sure=later)
    if hi == end and not later and len(blocks) > 1 and blocks[-1][0] > lo:
        words = text[slice(*blocks[-1])].strip()
        if orders(words) and width(words) <= LONGEST_REQUEST:
            hi = blocks[-1][0]
    return lo, hi


def is_source(text: str, around: Span, inside: Span, *, later: bool) -> bool:
    """Whether the stretch `inside` is a source for the request in the rest of `around`. `later`:
    a marked question follows. In doubt it is not, and nothing is cut."""
    (start, end), (lo, hi) = around, inside
    request = text[start:lo] + "\n" + text[hi:end]
    if width(text[lo:hi].strip()) < _LEAST_SOURCE:
        return False
    if speakers(text, lo, hi):
        return True
    if lo == start and hi == end:
        return False
    announced = (
        points_to_text(request)
        or (later and lo > start and about_text(request))
        or (asks(text[hi:end]) and _stands_alone(text, lo, hi))
    )
    return announced and not _speaks_to_model(text, lo, hi)


def _stands_alone(text: str, lo: int, hi: int) -> bool:
    """Whether a text that nothing announces is a source all the same: long, and not personal."""
    blocks = [text[a:b] for a, b in paragraphs(text, lo, hi)]
    return width(text[lo:hi]) >= _LEAST_UNANNOUNCED and not personal(blocks)


def _speaks_to_model(text: str, lo: int, hi: int) -> bool:
    """Whether a long text is itself made of rules and orders."""
    blocks = [text[a:b] for a, b in paragraphs(text, lo, hi)]
    if len(blocks) < 3:
        blocks = [line for block in blocks for line in block.splitlines() if line.strip()]
    spoken = sum(rules(block) or "```" in block for block in blocks)
    return spoken * 3 > len(blocks)
