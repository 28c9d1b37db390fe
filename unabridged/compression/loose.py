"""What the text of a message is that no mark has decided about: a question, a long text beside a
request, or instruction."""

from __future__ import annotations

from dataclasses import replace

from unabridged.compression.cues import asks, needs_every_word, width
from unabridged.compression.draft import Draft
from unabridged.compression.passages import Piece, divide, paragraphs, speakers
from unabridged.compression.prose import LONGEST_REQUEST, is_source, source_span
from unabridged.policies.policy import Kind

_SHORT_MESSAGE = 1200


def judge_loose(draft: Draft) -> None:
    """Decides about all that is loose, and about the question."""
    _by_place(draft)
    if not draft.system and not draft.has("document", "demonstration"):
        _prose(draft)
    _find_question(draft)
    if not draft.system:
        _every_word(draft)


def _by_place(draft: Draft) -> None:
    """Text without a mark: white space is format, what follows the documents is the question
    if none is marked, and a paragraph that asks is one too."""
    asked = draft.has("question")
    material = [i for i, p in enumerate(draft.pieces) if p.kind in ("document", "demonstration")]
    for number in draft.loose:
        piece = draft.pieces[number]
        words = draft.text[piece.start : piece.end]
        if not words.strip():
            draft.pieces[number] = replace(piece, kind="format", why="white space")
        elif material and not asked and not draft.system and number > material[-1]:
            draft.pieces[number] = replace(piece, kind="question", why="follows the documents")
            asked = True


def _find_question(draft: Draft) -> None:
    """Where no mark and no place tells, the last paragraph that asks is the question."""
    if draft.system or draft.has("question"):
        return
    for number in reversed(range(len(draft.pieces))):
        piece = draft.pieces[number]
        if piece.kind != "instruction" or piece.protected:
            continue
        for start, end in reversed(paragraphs(draft.text, piece.start, piece.end)):
            if (
                asks(draft.text[start:end].rstrip())
                and width(draft.text[start:end]) <= LONGEST_REQUEST
            ):
                new = [
                    replace(piece, end=start),
                    Piece(kind="question", start=start, end=end, why="ends with a question mark"),
                    replace(piece, start=end),
                ]
                draft.pieces[number : number + 1] = [p for p in new if p.start < p.end]
                return
    speaking = [
        i for i, p in enumerate(draft.pieces) if p.kind == "instruction" and not p.protected
    ]
    if speaking and width(draft.text[slice(*_span(draft.pieces[speaking[-1]]))]) <= _SHORT_MESSAGE:
        last = speaking[-1]
        draft.pieces[last] = replace(
            draft.pieces[last], kind="question", why="the only short text beside the documents"
            if draft.has("document", "demonstration") else "the whole message is short",
        )  # fmt: skip


def _span(piece: Piece) -> tuple[int, int]:
    return piece.start, piece.end


def _prose(draft: Draft) -> None:
    """Long text between a request in front and a request behind, without a mark."""
    sizes = {i: draft.pieces[i].end - draft.pieces[i].start for i in draft.loose}
    asked = [i for i, p in enumerate(draft.pieces) if p.kind == "question"]
    if asked and asked[-1] == len(draft.pieces) - 1:
        _behind_question(draft, asked[-1])
    if not sizes or draft.has("document"):
        return
    number = max(sizes, key=lambda i: sizes[i])
    piece = draft.pieces[number]
    later = draft.has("question")
    lo, hi = source_span(draft.text, piece.start, piece.end, later=later)
    if not is_source(draft.text, (piece.start, piece.end), (lo, hi), later=later):
        return
    new: list[Piece] = []
    if piece.start < lo:
        new.append(replace(piece, end=lo, why="request in front of a long text"))
    new.extend(divide(draft.text, lo, hi, "long text beside a request"))
    if hi < piece.end:
        kind: Kind = "instruction" if later else "question"
        new.append(replace(piece, kind=kind, start=hi, why="request behind a long text"))
    draft.pieces[number : number + 1] = new


def _behind_question(draft: Draft, number: int) -> None:
    """A transcript may follow a leading question without a mark of its own."""
    piece = draft.pieces[number]
    first = paragraphs(draft.text, piece.start, piece.end)[0][1]
    if first < piece.end and speakers(draft.text, first, piece.end):
        new = divide(draft.text, first, piece.end, "transcript behind the question")
        draft.pieces[number:] = [replace(piece, end=first), *new]


def _every_word(draft: Draft) -> None:
    """A text that is to be translated or corrected must arrive whole."""
    said = "\n".join(
        draft.text[p.start : p.end] for p in draft.pieces if p.kind in ("instruction", "question")
    )
    if width(said) > 2000 or not needs_every_word(said) or asks(said):
        return
    draft.pieces[:] = [
        replace(p, protected=True, why=f"{p.why}; the request needs every word")
        if p.kind == "document"
        else p
        for p in draft.pieces
    ]
