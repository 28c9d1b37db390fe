"""The marks that people write into a message to tell its parts apart."""

# Patterns stay in one piece.
# ruff: noqa: E501
from __future__ import annotations

import json
import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from unabridged.compression.cues import about_text, width
from unabridged.compression.labels import LONGEST_LABEL, TAGS, Role, role_of
from unabridged.compression.prompt import Span

_LINE = re.compile(r"[^\n]*\n?")
_FENCE = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})([^\n`]*)$", re.MULTILINE)
_TAG = re.compile(r"<(/?)([^\W\d][\w.:-]{0,40})((?:\s[^<>\n]{0,300})?)(/?)>")
_HEADING = re.compile(r"[ \t]{0,3}(#{1,6})[ \t]+([^\n]+?)[ \t#]*$")
_BANNER = re.compile(
    r"[ \t]*(?:\[\[ ?## ?(?P<dspy>\w+) ?## ?\]\]|(?:\*\*|__)(?P<bold>[^*_\n:：]{1,60})(?:\*\*|__)"
    r"|[【〔](?P<cjk>[^】〕\n]{1,40})[】〕][:：]?|[=\-#*]{2,} ?(?P<rule>[^=\-#*\n]{1,60}?) ?[=\-#*]{2,}"
    r"|\[(?P<square>[A-Z][A-Z _]{2,40})\])[ \t]*$"
)
_LABEL = re.compile(
    r"[ \t>]{0,8}(?:[-*•][ \t]+)?(?:#{1,6}[ \t]+)?(?:\*\*|__|【|\[)?(?P<name>[^\n:：*_【】]{1,60}?)(?:\*\*|__|】|\])?[ \t]*"
    r"(?P<colon>[:：])(?:\*\*|__)?[ \t]*"
)
_NUMBERED_DOCUMENT = re.compile(
    r"[ \t]{0,4}[\[【<(「]{0,2}(?P<name>[^\W\d][^\n\[(:：\d#№]{0,30}?)[ \t]*(?:[:：][ \t]*)?[\[(#№]?(?P<n>\d{1,4})(?![\w.-]\w|\d)"
    r"(?:[ \t]+begin|번|号)?[\])】>」]{0,2}[ \t]*"
    r"(?P<title>\((?:[^\n()]|\([^\n()]*\)){0,300}\))?[ \t]*(?P<colon>[:：.\-–]?)[ \t]*"
)
_RULE = re.compile(r"^[ \t]*([-=#*_~])\1{2,}[ \t]*$", re.MULTILINE)
_QUOTES = re.compile(r"\"{3}|'{3}|«{3}|»{3}")
_SCHEMA = re.compile(r'"(?:\$schema|properties|parameters|input_schema)"\s*:')
_JSON = re.compile(r"^[ \t]*[\[{]", re.MULTILINE)
_LLMLINGUA = re.compile(r"<llmlingua((?:[\s,][^<>]{0,200})?)>", re.IGNORECASE)
_LLMLINGUA_END = re.compile(r"</llmlingua>", re.IGNORECASE)
_RATE = re.compile(r"rate\s*=\s*['\"]?(\d+(?:\.\d+)?|\.\d+)")
_NO_COMPRESS = re.compile(r"compress\s*=\s*['\"]?false", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place where a part of a message begins, and where it ends if the writer said so."""

    role: Role
    why: str
    start: int
    inner: int
    """Behind the mark: where what it marks begins."""
    close: int | None = None
    """Where the closing mark begins; None: the part lasts until the next mark."""
    end: int | None = None
    """Behind the closing mark."""
    single: bool = False
    """True if the mark stands for one of many: a numbered document, one example."""

    @property
    def closed(self) -> bool:
        return self.end is not None


def lines(text: str, lo: int, hi: int) -> list[Span]:
    """The lines of a stretch with their line breaks."""
    return [found.span() for found in _LINE.finditer(text, lo, hi) if found.end() > found.start()]


def quoted(text: str, lo: int) -> str:
    """The start of the line at `lo`, short enough to be read in a reason."""
    line = text[lo : lo + 60].strip().split("\n", 1)[0]
    return repr(line[:40] + "…" if len(line) > 40 else line)


def fences(text: str, lo: int, hi: int) -> list[Span]:
    """Fenced code, fences included; an unclosed fence is none."""
    found: list[Span] = []
    begin: re.Match[str] | None = None
    for fence in _FENCE.finditer(text, lo, hi):
        if begin is None:
            begin = fence
        elif fence[1].startswith(begin[1]) and not fence[2].strip():
            found.append((begin.start(), min(fence.end() + 1, hi)))
            begin = None
    return found


def tags(text: str, lo: int, hi: int, avoid: Sequence[Span] = ()) -> list[Mark]:
    """Balanced pairs of known tags, outermost first; a tag without its partner is plain text."""
    opened: dict[str, list[re.Match[str]]] = {}
    pairs: list[Mark] = []
    for tag in _TAG.finditer(text, lo, hi):
        name = tag[2].casefold()
        role = TAGS.get(name)
        if role is None or tag[4] or _hidden(tag.start(), avoid):
            continue
        if not tag[1]:
            opened.setdefault(name, []).append(tag)
        elif opened.get(name):
            begin = opened[name].pop()
            if tag.start() - begin.end() >= 80 or _opens_line(text, begin.start(), lo):
                pairs.append(
                    Mark(
                        role=role,
                        why=f"tag {begin[0][:40]}",
                        start=begin.start(),
                        inner=begin.end(),
                        close=tag.start(),
                        end=tag.end(),
                        single=not name.endswith("s"),
                    )
                )
    return sorted((m for m in pairs if text[m.inner : m.close].strip()), key=lambda m: m.start)


def outermost(marks: Iterable[Mark]) -> list[Mark]:
    """The marks that stand in no other; where two overlap, the first stays."""
    kept: list[Mark] = []
    for mark in sorted(marks, key=lambda m: (m.start, -(m.end or m.inner))):
        if not kept or mark.start >= (kept[-1].end or kept[-1].inner):
            kept.append(mark)
    return kept


def outline(text: str, lo: int, hi: int, *, plain: bool = True) -> list[Mark]:
    """All marks of a stretch in order, none inside another. `plain` also takes JSON and rules
    for documents, which is right for what a user writes and wrong for a system prompt."""
    code = fences(text, lo, hi)
    closed = tags(text, lo, hi, code) + _triple_quotes(text, lo, hi, code)
    if plain:
        closed += _json_blocks(text, lo, hi, code)
    closed += _ruled(text, lo, hi, code)
    shut = outermost(closed)
    hidden = sorted([*code, *((m.start, m.end or m.inner) for m in shut)])
    open_marks: list[Mark] = []
    at = 0
    for start, end in lines(text, lo, hi):
        while at < len(hidden) and hidden[at][1] <= start:
            at += 1
        if at < len(hidden) and hidden[at][0] < start:
            continue
        mark = line_mark(text, start, end)
        if mark is not None:
            open_marks.append(mark)
    return _without_inner_labels(text, outermost([*shut, *open_marks]))


def _without_inner_labels(text: str, marks: Sequence[Mark]) -> list[Mark]:
    """Without the `text:` that stands in a numbered document, behind its title."""
    kept: list[Mark] = []
    for mark in marks:
        before = kept[-1] if kept else None
        if (
            before is not None
            and before.role == mark.role == "documents"
            and before.single
            and not (mark.single or before.closed or mark.closed)
            and mark.start - before.start < 600
            and "\n\n" not in text[before.start : mark.start]
        ):
            continue
        kept.append(mark)
    return kept


def line_mark(text: str, start: int, end: int) -> Mark | None:
    """What the line at `start` marks, if it is a heading or begins with a known label."""
    line = text[start : min(end, start + 420)].rstrip("\n")
    if len(line) < 420:
        for pattern in (_HEADING, _BANNER):
            found = pattern.match(line)
            name = found and (
                found[2] if pattern is _HEADING else next(filter(None, found.groups()))
            )
            if name:
                role, numbered = role_of(name)
                if role is not None:
                    why = f"heading {quoted(text, start)}"
                    return Mark(role=role, why=why, start=start, inner=end, single=numbered)
    return _numbered_document(text, line, start) or _label(text, line, start)


def _label(text: str, line: str, start: int) -> Mark | None:
    found = _LABEL.match(line[: LONGEST_LABEL + 20])
    if found is None:
        return None
    name = found["name"].strip()
    if len(name) == 1 and name.isascii() and not name.isupper():
        return None
    role, numbered = role_of(name)
    if role is None or line[found.end("colon") :].startswith("//"):
        return None
    inner = start + found.end()
    if text[inner : inner + 1] == "\n":
        inner += 1
    return Mark(
        role=role, why=f"label {quoted(text, start)}", start=start, inner=inner, single=numbered
    )


def _numbered_document(text: str, line: str, start: int) -> Mark | None:
    found = _NUMBERED_DOCUMENT.match(line)
    if found is None:
        return None
    # `Document 1` alone on its line is a mark as well; `Text 5 times as long` is none.
    shaped = found["colon"] or found["title"] or any(c in found[0] for c in "[]【】<>「」")
    if not shaped and found.end() != len(line):
        return None
    role, _ = role_of(found["name"].strip())
    if role not in ("documents", "examples"):
        return None
    return Mark(
        role=role,
        why=f"numbered mark {quoted(text, start)}",
        start=start,
        inner=start + found.end(),
        single=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """A part in `<llmlingua rate=0.4, compress=False>` tags, as the LLMLingua library has them
    ("structured prompt compression" in its documentation)."""

    start: int
    inner: int
    close: int
    end: int
    rate: float | None
    compress: bool


def llmlingua(text: str, lo: int, hi: int) -> list[Tagged]:
    """The parts of a stretch in llmlingua tags."""
    found: list[Tagged] = []
    for opening in _LLMLINGUA.finditer(text, lo, hi):
        if found and opening.start() < found[-1].end:
            continue
        close = _LLMLINGUA_END.search(text, opening.end(), hi)
        if close is None:
            break
        rate = _RATE.search(opening[1])
        share = float(rate[1]) if rate else None
        found.append(
            Tagged(
                start=opening.start(),
                inner=opening.end(),
                close=close.start(),
                end=close.end(),
                rate=share if share is not None and 0 <= share <= 1 else None,
                compress=not _NO_COMPRESS.search(opening[1]),
            )
        )
    return found


def _opens_line(text: str, at: int, lo: int) -> bool:
    start = max(lo, at - 200)
    before = text[start:at]
    if "\n" not in before and start > lo:
        return before.rstrip().endswith(">")
    before = before.rsplit("\n", 1)[-1].strip()
    return not before or before.endswith((">", ":", "："))


def _hidden(at: int, avoid: Sequence[Span]) -> bool:
    """Whether a place lies in one of some sorted stretches."""
    number = bisect_right(avoid, (at, sys.maxsize)) - 1
    return number >= 0 and at < avoid[number][1]


def _triple_quotes(text: str, lo: int, hi: int, avoid: Sequence[Span]) -> list[Mark]:
    found: list[Mark] = []
    begin: re.Match[str] | None = None
    for quote in _QUOTES.finditer(text, lo, hi):
        if _hidden(quote.start(), avoid):
            continue
        if begin is None:
            begin = quote
        else:
            if width(text[begin.end() : quote.start()]) >= 150:
                found.append(
                    Mark(role="documents", why="text in triple quotes", start=begin.start(), inner=begin.end(),
                         close=quote.start(), end=quote.end())
                )  # fmt: skip
            begin = None
    return found


def _json_blocks(text: str, lo: int, hi: int, avoid: Sequence[Span]) -> list[Mark]:
    found: list[Mark] = []
    decoder = json.JSONDecoder(parse_int=str, parse_float=str)
    at, tries = lo, 0
    # A block that does not parse costs a scan to its end; the number of tries bounds that.
    while tries < 20 and (begin := _JSON.search(text, at, hi)):
        tries += 1
        start = begin.end() - 1
        at = begin.end()
        if _hidden(start, avoid):
            continue
        try:
            _, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if 200 <= end - start <= hi - start and not _SCHEMA.search(text, start, end):
            found.append(
                Mark(
                    role="documents", why="JSON data", start=start, inner=start, close=end, end=end
                )
            )
            at = end
    return found


def _ruled(text: str, lo: int, hi: int, avoid: Sequence[Span]) -> list[Mark]:
    rules = [r for r in _RULE.finditer(text, lo, hi) if not _hidden(r.start(), avoid)][:200]
    found: list[Mark] = []
    for number, rule in enumerate(rules):
        if found and rule.start() < (found[-1].end or hi):
            continue
        before = text[max(lo, rule.start() - 300) : rule.start()].rstrip().rsplit("\n\n", 1)[-1]
        long = len(rule[0].strip()) >= 5
        line = before.rsplit("\n", 1)[-1]
        announced = (
            line_mark(line, 0, len(line)) is not None if long else line.endswith((":", "："))
        )
        if not announced and not (long and about_text(before)):
            continue
        same = [r for r in rules[number + 1 :] if r[0].strip() == rule[0].strip()]
        inner = min(rule.end() + 1, hi)
        if same and width(text[inner : same[0].start()]) >= 60:
            # Rules may also stand between the documents: the last one closes them all.
            last = same[0] if long else same[-1]
            found.append(Mark(role="documents", why="text between rules", start=rule.start(), inner=inner,
                              close=last.start(), end=min(last.end() + 1, hi)))  # fmt: skip
        elif not same and width(text[inner:hi]) >= 200:
            found.append(
                Mark(role="documents", why="text below a rule", start=rule.start(), inner=inner)
            )
    return found


def numbered(text: str, lo: int, hi: int) -> list[list[Mark]]:
    """Runs of `[1]`, `(1)`, `1.`, `1)` at line starts that count up from 0 or 1."""
    styles: dict[str, list[list[tuple[int, int, int]]]] = {}
    for found in _NUMBER.finditer(text, lo, hi):
        n, style = int(found["n"]), f"{found['before'] or ''}n{found['after'] or ''}"
        runs = styles.setdefault(style, [])
        if n in (0, 1) and not (runs and runs[-1][-1][0] == 0 and n == 1):
            runs.append([(n, found.start(), found.end())])
        elif runs and runs[-1][-1][0] == n - 1:
            runs[-1].append((n, found.start(), found.end()))
    return [
        [
            Mark(role="documents", why=f"numbered passage {text[start:inner].strip()}", start=start,
                 inner=inner, single=True)
            for _, start, inner in run
        ]
        for runs in styles.values()
        for run in [run for run in runs if len(run) > 1][:_MOST_RUNS]
    ]  # fmt: skip


# Each run costs a look at all that follows it.
_MOST_RUNS = 10
_NUMBER = re.compile(
    r"^[ \t]{0,4}(?P<before>[\[(【「]?)(?P<n>\d{1,3})(?P<after>[\])】」.、．:)])(?:[ \t]+|(?=\D))(?=\S)",
    re.MULTILINE,
)


def gaps(marks: Sequence[Mark], hi: int) -> list[Span]:
    """The stretch that each of some open marks covers: up to the next one."""
    edges = [*(m.start for m in marks), hi]
    return list(pairwise(edges))
