"""Restores a whole answer and leaves every other byte of it as it came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from unabridged.compression.body import BadBody, Body, read
from unabridged.compression.prompt import Path
from unabridged.recovery.index import Index
from unabridged.recovery.json_text import Restorer, Splice, respell
from unabridged.recovery.said import ANSWERS, RESTORERS, Said
from unabridged.recovery.text_stream import Piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A piece and the string of the answer that it stands in."""

    path: Path
    """Such as ("choices", 0, "message", "content")."""
    piece: Piece
    """Its offsets count in that string; in a JSON text, in the string value it stands in."""
    splice: Splice
    """The same as a stretch of that string, whatever it is, and what stands there now."""


def edits_of(path: Path, restorer: Restorer, seen: int = 0) -> Iterator[Edit]:
    """What a restorer has done to the text at `path`, but for what was `seen` before."""
    done = zip(restorer.edits[seen:], restorer.splices[seen:], strict=True)
    return (Edit(path=path, piece=piece, splice=splice) for piece, splice in done)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """An answer in the original's words."""

    body: bytes
    edits: tuple[Edit, ...] = ()
    untouched: tuple[str, ...] = ()
    """What was left alone as a whole, and why, in words a person can read."""


def restore_answer(body: bytes, index: Index, surface: str = "chat") -> Restored:
    """Restore the answer of a surface in said.ANSWERS: its words, and the arguments of tool
    calls inside their string values.

    A body that is not a JSON object comes back as it is, and so does what has log probabilities
    or citations: they belong to the tokens or characters that the model wrote.
    """
    if index.empty:
        return Restored(body=body)
    try:
        answer = read(body.decode(), f"{surface} answer")
    except (BadBody, UnicodeDecodeError):
        return Restored(body=body, untouched=("the answer is not a JSON object in UTF-8",))
    said = tuple(ANSWERS[surface](answer.tree))
    raw, edits = rewritten(answer, said, index)
    return Restored(
        body=raw.encode() if edits else body,
        edits=edits,
        untouched=tuple(dict.fromkeys(one.why_not for one in said if one.why_not)),
    )


def rewritten(
    answer: Body, said: Iterable[Said], index: Index, known: Mapping[str, Sequence[Splice]] = {}
) -> tuple[str, tuple[Edit, ...]]:
    """The raw JSON with the texts of `said` restored, in the order of the body, and what was
    restored. `known` holds what is replaced in texts that were restored before; these are not
    counted among the edits again."""
    out: list[str] = []
    edits: list[Edit] = []
    at = 0
    for one in sorted(said, key=lambda each: each.text.start):
        text = one.text
        splices = known.get(text.value)
        if splices is None and not one.why_not:
            restorer = RESTORERS[one.form](index)
            restorer.feed(text.value)
            restorer.flush()
            splices = restorer.splices
            edits.extend(edits_of(text.path, restorer))
        if splices:
            inside = answer.raw[text.start : text.end]
            out.extend((answer.raw[at : text.start], respell(inside, splices)))
            at = text.end
    return "".join([*out, answer.raw[at:]]), tuple(edits)
