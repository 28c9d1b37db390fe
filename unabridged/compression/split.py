"""Cuts a request into named segments: instruction, examples, documents, question and the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from unabridged.compression import chat, completions, messages, responses
from unabridged.compression.body import Body, read
from unabridged.compression.marks import fences
from unabridged.compression.message import pieces
from unabridged.compression.passages import Piece, divide, document, json_texts
from unabridged.compression.prompt import Path, Prompt, Segment, Where
from unabridged.compression.speech import Speech, Treatment
from unabridged.policies.policy import Kind, Policy

_LONG = 1200

SPEECHES: dict[str, Callable[[Body, Mapping[int, Kind]], Iterator[Speech]]] = {
    "chat": chat.speeches,
    "completions": completions.speeches,
    "responses": responses.speeches,
    "messages": messages.speeches,
}
"""What reads the texts of each kind of request, named as in body.SURFACES."""


def split(body: str, policy: Policy, question: str | None = None, surface: str = "chat") -> Prompt:
    """The segments of a request body of a surface in SPEECHES, or of a plain "text". Only
    strings that hold a segment may change later; what has no segment is not touched. A
    `question` from outside takes the place of those that are found, wherever documents are
    judged by one.

    Raises BadBody if the body is not a JSON object.
    """
    if surface == "text":
        return split_text(body, policy, question)
    parsed = read(body, surface)
    if parsed.trouble:
        return Prompt(body=body, surface=surface, segments=(), note=parsed.trouble)
    found: list[Segment] = []
    for speech in SPEECHES[surface](parsed, policy.messages):
        if speech.text.value:
            found.extend(
                _segments(speech.text.value, _spoken(speech, policy), speech.text.path, speech.turn)
            )
    return Prompt(
        body=body,
        surface=surface,
        segments=tuple(found),
        note=_note(found),
        asked=question or "",
    )


def split_text(text: str, policy: Policy, question: str | None = None) -> Prompt:
    """The segments of a plain text. Without any mark of documents, it is one document, or several
    by its paragraphs: nobody gives a text to be shortened in order to have it kept whole. A
    question in it is kept, unless there is one from outside."""
    if not text:
        return Prompt(body=text, segments=(), note="the text is empty")
    found = _ruled(text, policy, lambda lo, hi: pieces(text, lo, hi))
    kinds = {p.kind for p in found}
    asked = bool(question and question.strip())
    # A short text is all question for a message; here only if it ends like one.
    lone = len(found) == 1 and not text.rstrip().endswith(("?", "？", "؟"))
    if not kinds & {"document", "demonstration"} and (asked or lone or "question" not in kinds):
        why = "text beside a question" if asked else "a text without any mark"
        found = divide(text, 0, len(text), why)
    segments = _segments(text, found, (), 0)
    return Prompt(body=text, segments=tuple(segments), note=_note(segments), asked=question or "")


def _spoken(speech: Speech, policy: Policy) -> list[Piece]:
    if speech.treatment == "whole":
        whole = Piece(kind=speech.kind, start=0, end=len(speech.text.value), why=speech.why)
        found = [whole]
    else:
        found = _ruled(speech.text.value, policy, _reader(speech))
    if speech.protected:
        return [replace(piece, protected=True, why=speech.why) for piece in found]
    return found


def _reader(speech: Speech) -> Callable[[int, int], list[Piece]]:
    """Finds the pieces of a stretch of a text that is looked into."""
    text, why = speech.text.value, speech.why
    readers: dict[Treatment, Callable[[int, int], list[Piece]]] = {
        "tool": lambda lo, hi: _tool_output(text, lo, hi, why),
        "document": lambda lo, hi: divide(text, lo, hi, why),
        "system": lambda lo, hi: pieces(text, lo, hi, system=True),
        "user": lambda lo, hi: pieces(text, lo, hi),
    }
    return readers[speech.treatment]


def _tool_output(text: str, lo: int, hi: int, why: str) -> list[Piece]:
    body = text[lo:hi].strip()
    if body[:1] in ("{", "["):
        passages = json_texts(text, lo, hi, "tool_output")
        if passages:
            return passages
        try:
            json.loads(body)
        except (ValueError, RecursionError):
            pass
        else:
            return [
                Piece(kind="tool_output", start=lo, end=hi, protected=True, why=f"{why}: JSON data")
            ]
    out: list[Piece] = []
    at = lo
    for a, b in fences(text, lo, hi):
        out.append(replace(document(text, at, a, why), kind="tool_output", chained=True))
        out.append(
            Piece(
                kind="tool_output", start=a, end=b, protected=True, chained=True, why=f"{why}: code"
            )
        )
        at = b
    out.append(replace(document(text, at, hi, why), kind="tool_output", chained=bool(out)))
    return [p for p in out if p.start < p.end]


def _ruled(text: str, policy: Policy, otherwise: Callable[[int, int], list[Piece]]) -> list[Piece]:
    """The policy's own marks first; `otherwise` finds the pieces of what lies between them."""
    marked: list[Piece] = []
    for rule in policy.split:
        for match in re.finditer(rule.pattern, text):
            group = "text" if match.re.groupindex.get("text") else 0
            start, end = match.span(group)
            if start >= end or any(match.start() < p.end and p.start < match.end() for p in marked):
                continue
            why = f"the policy's own mark {rule.pattern[:60]!r}"
            named = [
                Piece(kind="format", start=match.start(), end=start, why=why),
                replace(document(text, start, end, why), kind=rule.kind),
                Piece(kind="format", start=end, end=match.end(), why=why),
            ]
            marked.extend(p for p in named if p.start < p.end)
    out: list[Piece] = []
    at = 0
    for piece in sorted(marked, key=lambda p: p.start):
        if at < piece.start:
            out.extend(otherwise(at, piece.start))
        out.append(piece)
        at = piece.end
    if at < len(text):
        out.extend(otherwise(at, len(text)))
    return out


def _segments(text: str, found: Sequence[Piece], path: Path, turn: int) -> list[Segment]:
    return [
        Segment(
            kind=piece.kind,
            text=text[piece.start : piece.end],
            where=Where(path=path, start=piece.start),
            turn=turn,
            head=min(piece.head, piece.end - piece.start),
            tail=min(
                piece.tail, piece.end - piece.start - min(piece.head, piece.end - piece.start)
            ),
            protected=piece.protected,
            chained=piece.chained,
            escaped=piece.escaped,
            rate=piece.rate,
            why=piece.why,
        )
        for piece in found
    ]


def _note(found: Sequence[Segment]) -> str:
    if any(s.kind in ("document", "demonstration", "tool_output") for s in found):
        return ""
    if not found:
        return "the request holds no text"
    longest = max(found, key=lambda s: len(s.text))
    if len(longest.text) < _LONG:
        return "only short messages: nothing to cut"
    size = f"{len(longest.text):,} characters"
    return f"one block of {size} without any mark of documents, examples or a question"
