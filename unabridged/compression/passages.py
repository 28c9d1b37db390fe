"""Takes a stretch of source text apart into its documents."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from json.decoder import scanstring  # type: ignore[attr-defined]

from unabridged.compression.cues import width
from unabridged.compression.marks import (
    Mark,
    fences,
    gaps,
    line_mark,
    lines,
    numbered,
    outermost,
    quoted,
    tags,
)
from unabridged.compression.prompt import Span
from unabridged.policies.policy import Kind

_BLANK = re.compile(r"\n[ \t\r]*\n\s*")
_SPEAKER = re.compile(
    r"[ \t]*(?:\[[\d:. ]{4,12}\][ \t]*)?(?P<name>[^\W\d_][^\n:：]{0,80}?)"
    r"[ \t]*[:：](?!//)[ \t]*(?=\S)"
)
_KEY = re.compile(
    r"[ \t]*(?:[-*][ \t]+)?(?:\*\*)?(?P<name>[^\W\d_][^\n:：]{0,24}?)(?:\*\*)?[:：](?!//)"
)
_HEADING = re.compile(r"[ \t]{0,3}(#{1,6})[ \t]+\S")
_RULE = re.compile(r"^[ \t]*([-=*_~#])\1{2,}[ \t]*$\n?", re.MULTILINE)
_INNER_TAG = re.compile(
    r"<(document_content|page_content|content|text|body|passage|snippet)>", re.IGNORECASE
)
_DEEPEST = 3
"""Levels of tags in tags that are looked into."""

_TEXT_KEYS = frozenset(
    [
        "text",
        "content",
        "contents",
        "passage",
        "passages",
        "page_content",
        "pagecontent",
        "snippet",
        "snippets",
        "body",
        "document",
        "documents",
        "chunk",
        "chunks",
        "context",
        "contexts",
        "paragraph",
        "paragraphs",
        "summary",
        "abstract",
        "value",
        "result",
        "results",
        "excerpt",
        "excerpts",
    ]
)
"""Under these keys (or none) the strings of a JSON array are passages."""

_RECORD_KEYS = frozenset(
    [
        "title",
        "source",
        "url",
        "link",
        "content",
        "text",
        "id",
        "name",
        "date",
        "author",
        "page",
        "file",
        "file_path",
        "page_label",
        "score",
        "doc",
        "document",
        "summary",
        "metadata",
        "filename",
        "section",
        "제목",
        "출처",
        "내용",
        "タイトル",
        "出典",
        "内容",
        "标题",
        "来源",
        "titre",
        "titel",
        "título",
        "fuente",
        "quelle",
    ]
)
"""Keys that records begin with, and speakers are not called by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of one message that serves one purpose; see Segment for the fields."""

    kind: Kind
    start: int
    end: int
    why: str
    head: int = 0
    tail: int = 0
    protected: bool = False
    chained: bool = False
    escaped: bool = False
    rate: float | None = None


def paragraphs(text: str, lo: int, hi: int) -> list[Span]:
    """Stretches between blank lines, each with the white space behind it."""
    edges = [lo, *(m.end() for m in _BLANK.finditer(text, lo, hi) if lo < m.end() < hi), hi]
    return [(a, b) for a, b in pairwise(edges) if a < b]


def document(text: str, start: int, end: int, why: str, inner: int = -1, close: int = -1) -> Piece:
    """One document; what surrounds `inner` to `close` is its wrapper, white space too."""
    inner = max(inner, start)
    close = end if close < 0 else close
    body = text[inner:close]
    head = inner - start + len(body) - len(body.lstrip())
    tail = end - close + (len(body) - len(body.rstrip()) if body.strip() else 0)
    return Piece(kind="document", start=start, end=end, head=head, tail=tail, why=why)


def divide(text: str, lo: int, hi: int, why: str, depth: int = 0) -> list[Piece]:
    """The documents in a stretch that is known to hold nothing else. The pieces tile it."""
    if not text[lo:hi].strip():
        return [Piece(kind="format", start=lo, end=hi, why=why)] if lo < hi else []
    if depth <= _DEEPEST and (pieces := _tagged(text, lo, hi, why, depth)):
        return _protect_code(text, pieces)
    for way in (_json, _items, _transcript, _ruled, _headed, _blocks):
        pieces = way(text, lo, hi, why)
        if pieces:
            return _protect_code(text, pieces)
    return _protect_code(text, [document(text, lo, hi, why)])


def tagged_document(text: str, mark: Mark, end: int) -> Piece:
    """One document in tags; tags directly around its text, as in `<document_content>`, and the
    white space up to `end` are wrapper."""
    inner, close = mark.inner, mark.close if mark.close is not None else end
    found = _INNER_TAG.search(text, inner, close)
    if found and found.start() - inner < 400:
        last = text.rfind(f"</{found[1]}>", found.end(), close)
        if last > 0 and not text[last + len(found[1]) + 3 : close].strip():
            inner, close = found.end(), last
    return document(text, mark.start, end, mark.why, inner, close)


def _tagged(text: str, lo: int, hi: int, why: str, depth: int) -> list[Piece]:
    found = outermost(m for m in tags(text, lo, hi) if m.role == "documents")
    if not found:
        return []
    out: list[Piece] = []
    at = lo
    for number, mark in enumerate(found):
        if at < mark.start:
            out.extend(_between(text, at, mark.start, why))
        end = mark.end if mark.end is not None else mark.inner
        following = found[number + 1].start if number + 1 < len(found) else hi
        if not text[end:following].strip():
            end = following
        deeper = [
            m
            for m in tags(text, mark.inner, mark.close or end)
            if m.role == "documents" and m.single
        ]
        if not mark.single and deeper:
            out.append(Piece(kind="format", start=mark.start, end=mark.inner, why=mark.why))
            out.extend(divide(text, mark.inner, mark.close or end, mark.why, depth + 1))
            out.append(Piece(kind="format", start=mark.close or end, end=end, why=mark.why))
        else:
            out.append(tagged_document(text, mark, end))
        at = end
    if at < hi:
        out.extend(_between(text, at, hi, why))
    return [p for p in out if p.start < p.end]


def _between(text: str, lo: int, hi: int, why: str) -> list[Piece]:
    if width(text[lo:hi].strip()) < 200:
        return [Piece(kind="format", start=lo, end=hi, why="between documents")]
    return [document(text, lo, hi, why)]


def json_texts(text: str, lo: int, hi: int, kind: Kind) -> list[Piece]:
    """The passages of a JSON array, its punctuation and short values as format; empty if the
    stretch is not an array (or an object that holds one) made mostly of passages."""
    start = lo + len(text[lo:hi]) - len(text[lo:hi].lstrip())
    try:
        _, end = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode(text, start)
    except (ValueError, RecursionError):
        return []
    if end > hi or text[end:hi].strip():
        return []
    found: list[Span] = []
    key, at = "", start
    while (at := text.find('"', at, end)) >= 0:
        value, behind = scanstring(text, at + 1, True)
        if text[behind : behind + 20].lstrip().startswith(":"):
            key = value
        elif width(value) >= 40 and (not key or key.casefold() in _TEXT_KEYS):
            found.append((at + 1, behind - 1))
        at = behind
    if (len(found) < 2 and text[start] == "{") or sum(b - a for a, b in found) * 5 < (
        end - start
    ) * 2:
        return []
    out: list[Piece] = []
    at = lo
    for a, b in found:
        out.append(Piece(kind="format", start=at, end=a, why="JSON around passages"))
        out.append(Piece(kind=kind, start=a, end=b, escaped=True, why="passage in a JSON array"))
        at = b
    out.append(Piece(kind="format", start=at, end=hi, why="JSON around passages"))
    return [p for p in out if p.start < p.end]


def _json(text: str, lo: int, hi: int, why: str) -> list[Piece]:
    body = text[lo:hi].strip()
    if body[:1] not in "[{" or body[-1:] not in "]}":
        return []
    pieces = json_texts(text, lo, hi, "document")
    if pieces:
        return pieces
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return []
    return [replace(document(text, lo, hi, "JSON data: exact strings"), protected=True)]


def _cut_at(text: str, marks: Sequence[Mark], lo: int, hi: int, why: str) -> list[Piece]:
    out = (
        [Piece(kind="format", start=lo, end=marks[0].start, why=why)] if lo < marks[0].start else []
    )
    if out and width(text[lo : marks[0].start].strip()) >= 200:
        out = [document(text, lo, marks[0].start, why)]
    for mark, (start, end) in zip(marks, gaps(marks, hi), strict=True):
        out.append(document(text, start, end, mark.why, mark.inner))
    return out


def _items(text: str, lo: int, hi: int, why: str) -> list[Piece]:
    rows = lines(text, lo, hi)
    marks = [
        m
        for a, b in rows
        if (m := line_mark(text, a, b)) is not None and m.role == "documents" and m.single
    ]
    keyed = _keyed(text, rows, lo, hi, why)
    if keyed and (not marks or text[lo : marks[0].start].strip()):
        return keyed
    if len(marks) > 1:
        return _cut_at(text, marks, lo, hi, why)
    runs = sorted(numbered(text, lo, hi), key=lambda run: (run[0].start, -len(run)))
    for run in runs:
        if width(text[lo : run[0].start].strip()) < 200 and _even(text, run, hi):
            return _cut_at(text, run, lo, hi, why)
    return keyed


def _even(text: str, run: Sequence[Mark], hi: int) -> bool:
    widths = sorted(width(text[a:b]) for a, b in gaps(run, hi))
    return widths[len(widths) // 2] >= 40


def _keyed(text: str, rows: Sequence[Span], lo: int, hi: int, why: str) -> list[Piece]:
    """Records that all begin with the same key, such as `Source:` or `Title:`."""
    first = next((row for row in rows if text[slice(*row)].strip()), None)
    key = first and _KEY.match(text, *first)
    if not key:
        return []
    name = key["name"]
    starts = [a for a, b in rows if (k := _KEY.match(text, a, b)) and k["name"] == name]
    if len(starts) < 2 or width(text[lo:hi]) < 60 * len(starts):
        return []
    if name.strip().casefold() not in _RECORD_KEYS and speakers(text, lo, hi):
        return []
    marks = [
        Mark(
            role="documents",
            why=f"record beginning with {name[:30]!r}",
            start=a,
            inner=a,
            single=True,
        )
        for a in starts
    ]
    return _cut_at(text, marks, lo, hi, why)


def speakers(text: str, lo: int, hi: int) -> list[int]:
    """Where the turns of a transcript begin; empty if the stretch is none."""
    rows = [row for row in lines(text, lo, hi) if text[slice(*row)].strip()]
    turns = [(a, found["name"]) for a, b in rows if (found := _SPEAKER.match(text, a, b))]
    names = Counter(name for _, name in turns)
    often = sum(count for count in names.values() if count > 1)
    if len(turns) < 6 or len(turns) * 2 < len(rows) or len(names) < 2 or often * 2 < len(turns):
        return []
    return [a for a, _ in turns]


def _transcript(text: str, lo: int, hi: int, why: str) -> list[Piece]:
    # One segment a turn: a turn is what a reader would quote, and a whole turn can go; that
    # turns may not change places is said by `chained`.
    starts = speakers(text, lo, hi)
    if not starts:
        return []
    out = [replace(document(text, lo, starts[0], why), chained=True)] if lo < starts[0] else []
    if out and not text[lo : starts[0]].strip():
        out = [Piece(kind="format", start=lo, end=starts[0], why=why)]
    for a, b in pairwise([*starts, hi]):
        found = _SPEAKER.match(text, a, b)
        turn = document(
            text, a, b, f"turn of a transcript {quoted(text, a)}", found.end() if found else a
        )
        out.append(replace(turn, chained=True))
    return out


def _ruled(text: str, lo: int, hi: int, why: str) -> list[Piece]:
    cuts = list(_RULE.finditer(text, lo, hi))
    if not cuts or width(text[lo : cuts[0].start()].strip()) < 60:
        return []
    out: list[Piece] = []
    at = lo
    for cut in cuts:
        if text[at : cut.start()].strip():
            out.append(document(text, at, cut.end(), "text between rules", at, cut.start()))
            at = cut.end()
    if at < hi:
        blank = not text[at:hi].strip()
        last = (
            Piece(kind="format", start=at, end=hi, why=why)
            if blank
            else document(text, at, hi, "text between rules")
        )
        out.append(last)
    return out if len(out) > 1 else []


def _headed(text: str, lo: int, hi: int, why: str) -> list[Piece]:
    rows = lines(text, lo, hi)
    first = next((row for row in rows if text[slice(*row)].strip()), None)
    top = first and _HEADING.match(text, *first)
    if not top:
        return []
    starts = [a for a, b in rows if (h := _HEADING.match(text, a, b)) and len(h[1]) <= len(top[1])]
    if len(starts) < 2:
        return []
    marks = [
        Mark(role="documents", why=f"heading {quoted(text, a)}", start=a, inner=a) for a in starts
    ]
    return [replace(p, chained=True) for p in _cut_at(text, marks, lo, hi, why)]


def _blocks(text: str, lo: int, hi: int, why: str) -> list[Piece]:
    code = fences(text, lo, hi)
    edges = [a for a, _ in paragraphs(text, lo, hi) if not any(x < a < y for x, y in code)]
    glued: list[int] = []
    for number, a in enumerate(edges):
        before = text[edges[number - 1] : a].strip() if number else ""
        # A title belongs to the paragraph under it.
        if number and width(before) < 100 and "\n" not in before and before[-1:].isalnum():
            continue
        glued.append(a)
    if len(glued) < 2:
        return []
    return [_block(text, a, b, why) for a, b in pairwise([*glued, hi])]


def _block(text: str, start: int, end: int, why: str) -> Piece:
    words = text[start:end].strip()
    if words.endswith((":", "：")) and "\n" not in words and width(words) <= 200:
        return Piece(kind="format", start=start, end=end, why="announces what follows")
    return replace(document(text, start, end, f"paragraph of: {why}"), chained=True)


def _protect_code(text: str, pieces: list[Piece]) -> list[Piece]:
    code = fences(text, pieces[0].start, pieces[-1].end)
    if not code:
        return pieces
    out: list[Piece] = []
    for piece in pieces:
        at = piece.start
        for a, b in code:
            if piece.kind != "document" or a < at or b > piece.end:
                continue
            if text[at:a].strip():
                out.append(document(text, at, a, piece.why))
                at = a
            out.append(replace(document(text, at, b, "fenced code"), protected=True, chained=True))
            at = b
        if at == piece.start:
            out.append(piece)
        elif text[at : piece.end].strip():
            out.append(replace(document(text, at, piece.end, piece.why), chained=True))
        elif at < piece.end:
            out.append(Piece(kind="format", start=at, end=piece.end, why="behind code"))
    return out
