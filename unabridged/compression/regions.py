"""A message as the regions between its marks, and the worked examples among them."""

# Patterns stay in one piece.
# ruff: noqa: E501
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from unabridged.compression.cues import orders, width
from unabridged.compression.labels import Role
from unabridged.compression.marks import Mark
from unabridged.compression.passages import paragraphs
from unabridged.compression.prompt import Span

_INLINE_ANSWER = re.compile(
    r"(?:^|[\s?？.。])(?:A|Answer|Output|답|답변|答え?|答案|回答)[ \t]*[:：][ \t]*\S"
)
_ANNOUNCES = re.compile(
    r"^\W*(?:now\b|answer\ the|using\ the|given\ the|based\ on|your\ (?:turn|task)|next\b|finally\b|please\b|solve\ the"
    r"|here\ is\ the|follow\ the|이제|다음|现在|請|请|では|次の|maintenant|ahora|jetzt|nun\b|теперь|agora|الآن)",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A stretch of a message and the mark that it begins with, if any."""

    mark: Mark | None
    start: int
    inner: int
    close: int
    end: int

    @property
    def role(self) -> Role | None:
        return self.mark.role if self.mark else None


def regions(marks: Sequence[Mark], lo: int, hi: int) -> list[Region]:
    """The regions that tile a stretch. An open mark rules until the next mark; behind a closing
    mark comes a region without one."""
    out: list[Region] = []
    at = lo
    for number, mark in enumerate(marks):
        if at < mark.start:
            out.append(Region(mark=None, start=at, inner=at, close=mark.start, end=mark.start))
        following = marks[number + 1].start if number + 1 < len(marks) else hi
        end = mark.end if mark.end is not None else following
        close = mark.close if mark.close is not None else end
        out.append(Region(mark=mark, start=mark.start, inner=mark.inner, close=close, end=end))
        at = end
    if at < hi:
        out.append(Region(mark=None, start=at, inner=at, close=hi, end=hi))
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One worked example: the regions from `first` up to `last`, excluded, ending at `end`."""

    first: int
    last: int
    end: int
    why: str


def units(text: str, found: Sequence[Region], *, sure: bool) -> list[Unit]:
    """The worked examples: question and answer, each with the context in front of it.

    `sure`: something else says that there are examples, so that a single one counts.
    """
    out = _answered(text, found)
    need = 1 if sure or (out and any(r.role == "question" for r in found[out[-1].last :])) else 2
    if len(out) < need:
        out = _unanswered(text, found)
    return out


def _answered(text: str, found: Sequence[Region]) -> list[Unit]:
    out: list[Unit] = []
    at = 0
    last_question = max((i for i, r in enumerate(found) if r.role == "question"), default=-1)
    last_context = max((i for i, r in enumerate(found) if r.role == "documents"), default=-1)
    for number, region in enumerate(found):
        inline = (number < last_question and region.role == "question") and bool(
            _INLINE_ANSWER.search(text, region.inner, region.close)
        )
        if not (
            inline
            or (
                region.role == "answer"
                and _complete(text, region, more=number < max(last_question, last_context))
            )
        ):
            continue
        first = number
        while first > at and found[first - 1].role == "question":
            first -= 1
        if first == number and not inline:
            continue
        first = _with_context(found, first, at, more=bool(out) or last_context >= first)
        why = "worked example: question and answer"
        out.append(Unit(first=first, last=number + 1, end=region.end, why=why))
        at = number + 1
    return out


def _with_context(found: Sequence[Region], first: int, at: int, *, more: bool) -> int:
    """Context belongs to an example if another context follows for the next one."""
    while first > at and found[first - 1].role in ("documents", "examples") and more:
        region = found[first - 1]
        if region.role == "examples" and not (region.mark and region.mark.single):
            break
        first -= 1
    return first


def _complete(text: str, region: Region, *, more: bool) -> bool:
    answer = text[region.inner : region.close].strip()
    # At the very end stands the cue that the model is to go on from, not an example's answer.
    return bool(answer) and (more or "\n\n" in answer)


def _unanswered(text: str, found: Sequence[Region]) -> list[Unit]:
    """Examples whose answers bear no label (`Question: … Let's think step by step …`): they
    hold the line that the last question ends with, and go on behind it."""
    asked = [i for i, r in enumerate(found) if r.role == "question"]
    answers = [r for r in found if r.role == "answer"]
    if len(asked) < 2 or any(text[r.inner : r.close].strip() for r in answers):
        return []
    last = found[asked[-1]]
    tail = text[last.inner : last.close].strip().split("\n")
    cue = tail[-1].strip() if len(tail) > 1 else ""
    out: list[Unit] = []
    for i in asked[:-1]:
        region = found[i]
        body = text[region.inner : region.close].strip()
        place = body.find("\n" + cue) if cue else -1
        answered = place > 0 and len(body) > place + len(cue) + 2
        if not answered:
            return []
        out.append(
            Unit(
                first=i,
                last=i + 1,
                end=region.end,
                why=f"worked example: goes on behind {cue[:30]!r}",
            )
        )
    blocks = paragraphs(text, last.inner, last.close)
    if out and len(blocks) > 1 and ("\n" + cue) in text[last.inner : blocks[-1][0]]:
        # The real question has no label: it stands behind the last example's answer.
        why = f"worked example: goes on behind {cue[:30]!r}"
        out.append(Unit(first=asked[-1], last=asked[-1] + 1, end=blocks[-1][0], why=why))
    return out


def behind_last(text: str, found: Sequence[Region], shown: Sequence[Unit]) -> int:
    """Where the last example ends if no mark says where the real question begins: behind as
    many paragraphs as the examples before it have, and never at the very last paragraph."""
    last = shown[-1]
    region = found[last.last - 1]
    blocks = paragraphs(text, region.inner, region.close)
    usual = max(
        (
            len(paragraphs(text, found[u.last - 1].inner, found[u.last - 1].close))
            for u in shown[:-1]
        ),
        default=1,
    )
    if len(blocks) < 2:
        return last.end
    return blocks[min(usual, len(blocks) - 1)][0]


def lead_over(text: str, lo: int, hi: int) -> int:
    """Where the paragraph begins that leads from the last example to the real question; `hi`
    if there is none."""
    blocks = paragraphs(text, lo, hi)
    if len(blocks) < 2:
        return hi
    start = blocks[-1][0]
    words = text[start:hi].strip()
    return start if width(words) < 300 and _ANNOUNCES.match(words) and orders(words) else hi


def example_marks(found: Sequence[Region]) -> list[Span]:
    """Stretches of regions, each one numbered or tagged example: from its mark to the next, the
    last one through its first answer."""
    starts = [i for i, r in enumerate(found) if r.role == "examples" and r.mark and r.mark.single]
    out: list[Span] = []
    for number, i in enumerate(starts):
        mark = found[i].mark
        if mark and mark.closed:
            out.append((i, i + 1))
            continue
        stop = starts[number + 1] if number + 1 < len(starts) else len(found)
        last = i + 1
        for j in range(i + 1, stop):
            if found[j].role not in ("question", "answer", "documents"):
                break
            last = j + 1
            if found[j].role == "answer":
                break
        if number + 1 == len(starts) and last > i + 1 and found[last - 1].role != "answer":
            last = i + 1
        out.append((i, last))
    return out
