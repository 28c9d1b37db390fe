"""Drops what carries nothing: idle white space, JSON's white space, and exact repeats."""

from __future__ import annotations

import regex

from unabridged.compression.job import Cut, Job
from unabridged.compression.kept import Spans, clip, intersect, invert, normalise, shift, unite
from unabridged.compression.prompt import Segment, Span
from unabridged.compression.protect import fences, forced, is_json, objects

REPEAT = 80
"""Characters from which a paragraph or line that occurred before is dropped."""

_JSON_GAP = regex.compile(r'(?P<string>"(?:[^"\\]|\\.)*+")|[ \t\r\n]+')
_QUOTED = regex.compile(
    r"`[^`\n]+`|(?<!\w)\"[^\"\n]*\"(?!\w)|[“„][^“”\n]*[“”]|«[^»\n]*»|「[^」\n]*」|『[^』\n]*』"
)
_BLANKS = regex.compile(r"(?<=\n[^\S\n]*\n)(?:[^\S\n]*\n)+")
_TRAILING = regex.compile(r"(?<=\S)(?! {2}\n)[ \t]+(?=\r?\n)")
_INNER = regex.compile(r"(?<=\S)(?:[ \t]{2,})(?=\S)")
_BLOCK = regex.compile(r"\S(?:.*\S)?(?:\n(?!\s*\n).*\S)*+")
_LINE = regex.compile(r"[^\n]+")


def lossless(job: Job) -> Cut:
    """White space that no reader misses, JSON without its white space, repeats but the first.

    Untouched: indentation, code fences, columns aligned with spaces, quoted strings, and
    whatever a policy forces. The budget does not matter.
    """
    kept: list[Spans] = []
    why: list[str] = []
    seen: set[str] = set()
    for segment in job.segments:
        job.checkpoint()
        spans, reason = _segment(segment, job, seen)
        kept.append(spans)
        why.append(reason)
    return Cut(kept=tuple(kept), why=tuple(why))


def _segment(segment: Segment, job: Job, seen: set[str]) -> tuple[Spans, str]:
    start, end = segment.content
    content = segment.text[start:end]
    whole = ((0, len(segment.text)),) if segment.text else ()
    if segment.escaped:
        return whole, "kept: the inside of a JSON string"
    if is_json(content):
        gone = _json_gaps(content, 0, len(content))
        reason = f"JSON without its white space, {_size(gone)} characters"
    else:
        repeats = _repeats(content, seen)
        gone = unite(_space(content), repeats)
        gone = intersect(gone, invert(forced(content, job.policy.force), len(content)))
        reason = f"idle white space and repeats, {_size(gone)} characters"
        if repeats and not invert(gone, len(content)):
            return (), "repeats what stands before it"
    if not gone:
        return whole, "nothing goes without loss"
    left = invert(shift(gone, start), len(segment.text))
    if not any(segment.text[a:b].strip() for a, b in clip(left, start, end)) and content.strip():
        return (), "repeats what stands before it"
    return left, reason


def _space(text: str) -> Spans:
    """White space that may go, outside of code, JSON, quoted strings and columns."""
    code, values = fences(text), objects(text)
    quoted = [match.span() for match in _QUOTED.finditer(text)]
    gone: list[Span] = []
    for a, b in values:
        gone.extend(_json_gaps(text, a, b))
    gone = list(intersect(gone, invert(code, len(text))))
    open_space: list[Span] = [m.span() for m in _BLANKS.finditer(text)]
    open_space += [m.span() for m in _TRAILING.finditer(text)]
    columns = _columns(text)
    for match in _INNER.finditer(text):
        if not clip(columns, *match.span()):
            open_space.append((match.start() + 1, match.end()))
    free = invert([*code, *values, *quoted], len(text))
    return unite(gone, intersect(open_space, free))


def _columns(text: str) -> Spans:
    """Lines that align columns: with bars, tabs, or several wide gaps that end no sentence."""
    found: list[Span] = []
    for line in _LINE.finditer(text):
        gaps = [g for g in _INNER.finditer(line[0]) if line[0][g.start() - 1] not in ".!?:;,\"')"]
        if "|" in line[0] or (gaps and "\t" in line[0]) or len(gaps) > 1:
            found.append(line.span())
    # A line between or beside two such lines belongs to the table even with one gap.
    return normalise((max(0, a - 1), b + 1) for a, b in found)


def _json_gaps(text: str, start: int, end: int) -> Spans:
    """The white space between the tokens of the JSON value text[start:end]."""
    return tuple(
        match.span() for match in _JSON_GAP.finditer(text, start, end) if match["string"] is None
    )


def _repeats(text: str, seen: set[str]) -> Spans:
    """Paragraphs, and lines of the others, that occurred before; `seen` learns those that did
    not. White space before a repeat goes with it."""
    code = fences(text)
    gone: list[Span] = []
    for block in _BLOCK.finditer(text):
        if clip(code, *block.span()):
            continue
        lines = [
            (block.start() + m.start(), block.start() + m.end()) for m in _LINE.finditer(block[0])
        ]
        for a, b in [block.span()] if _known(block[0], seen) else lines:
            key = " ".join(text[a:b].split())
            if len(key) < REPEAT:
                continue
            if key in seen:
                while a > 0 and text[a - 1].isspace():
                    a -= 1
                gone.append((a, b))
            seen.add(key)
        seen.add(" ".join(block[0].split()))
    return normalise(gone)


def _known(block: str, seen: set[str]) -> bool:
    key = " ".join(block.split())
    return len(key) >= REPEAT and key in seen


def _size(spans: Spans) -> int:
    return sum(end - start for start, end in spans)
