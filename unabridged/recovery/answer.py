"""Restores a whole chat-completions answer and leaves every other byte of it as it came."""

from __future__ import annotations

from dataclasses import dataclass

from unabridged.compression.body import BadBody, Text, read
from unabridged.compression.prompt import Path
from unabridged.recovery.index import Index
from unabridged.recovery.json_text import ContentRestorer, JsonRestorer, respell
from unabridged.recovery.text_stream import Piece

SCORED = "its text is left as the model wrote it, because log probabilities were asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A piece and the string of the answer that it stands in."""

    path: Path
    """Such as ("choices", 0, "message", "content")."""
    piece: Piece
    """Its offsets count in that string; in a JSON text, in the string value it stands in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """An answer in the original's words."""

    body: bytes
    edits: tuple[Edit, ...] = ()
    untouched: tuple[str, ...] = ()
    """What was left alone as a whole, and why, in words a person can read."""


def restorer_for(path: Path, index: Index) -> ContentRestorer | JsonRestorer:
    """The restorer of a string of an answer: the arguments of a call are JSON or nothing."""
    return ContentRestorer(index) if path[-1] == "content" else JsonRestorer(index)


def restore_answer(body: bytes, index: Index) -> Restored:
    """Restore a chat-completions answer: `content`, and the arguments of tool calls inside
    their string values; every choice.

    A body that is not a JSON object comes back as it is, and so does a choice with log
    probabilities: they belong to the tokens that the model wrote.
    """
    if not index.heads:
        return Restored(body=body)
    try:
        answer = read(body.decode(), "chat answer")
    except (BadBody, UnicodeDecodeError):
        return Restored(body=body, untouched=("the answer is not a JSON object in UTF-8",))
    choices = answer.tree.get("choices")
    scored = {
        n
        for n, choice in enumerate(choices if isinstance(choices, list) else ())
        if isinstance(choice, dict) and choice.get("logprobs") is not None
    }
    out: list[str] = []
    edits: list[Edit] = []
    at = 0
    for text in answer.texts:
        if text.path[1] in scored:
            continue
        new, found = _restored(answer.raw, text, index)
        if found:
            out.extend((answer.raw[at : text.start], new))
            at = text.end
            edits.extend(Edit(path=text.path, piece=piece) for piece in found)
    return Restored(
        body="".join([*out, answer.raw[at:]]).encode() if edits else body,
        edits=tuple(edits),
        untouched=tuple(f"choice {n}: {SCORED}" for n in sorted(scored)),
    )


def _restored(raw: str, text: Text, index: Index) -> tuple[str, list[Piece]]:
    restorer = restorer_for(text.path, index)
    restorer.feed(text.value)
    restorer.flush()
    if not restorer.edits:
        return "", []
    return respell(raw[text.start : text.end], restorer.splices), restorer.edits
