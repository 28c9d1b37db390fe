"""What is told of a request beside its receipt: its segments, and its text if it may be kept."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from unabridged.compression.body import BadBody, read
from unabridged.compression.plan import Plan
from unabridged.compression.prompt import Compressed
from unabridged.policies.problem import dotted
from unabridged.proxy.headers import Headers, first
from unabridged.proxy.page_answers import EditRow, KeptAnswer, KeptSegment, SegmentRow
from unabridged.proxy.relay import Chain, Filter
from unabridged.proxy.sse import Splitter, is_event_stream
from unabridged.recovery.answer import Edit
from unabridged.recovery.said import ANSWERS
from unabridged.recovery.streams import stream_texts

MOST_SEGMENTS = 300
"""Segments of one request that are listed."""
MOST_ANSWER = 2**20
"""Bytes of an answer that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A prompt as our work found it, cut or not."""

    compressed: Compressed
    plan: Plan


class Heard:
    """A Filter that changes nothing and remembers the answer as the upstream wrote it."""

    def __init__(self, content_type: str, surface: str = "chat") -> None:
        self.content_type = content_type
        self.surface = surface
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> bytes:
        self._size += len(piece)
        if self._size <= MOST_ANSWER:
            self._pieces.append(piece)
        return piece

    def flush(self) -> bytes:
        return b""

    @property
    def body(self) -> bytes:
        """As far as it was heard and is kept."""
        return b"".join(self._pieces)


@dataclass(slots=True, kw_only=True)
class Detail:
    """Gathered while a request is under way; what is not there was not seen."""

    seen: Seen | None = None
    keep_seconds: int = 0
    """How long its text may be kept; 0: not at all."""
    may_train: bool = False
    """Its kept text may be learnt from."""
    heard: Heard | None = None
    edits: Sequence[Edit] = ()
    tenant: str = ""
    intent: str = ""
    """For the caller alone: no log, metric or database has it."""


def heard(counting: Filter, headers: Headers, detail: Detail, surface: str) -> Filter:
    """What an answer goes through: `counting`, and where its text may be kept, an ear."""
    encoding = (first(headers, b"content-encoding") or b"identity").lower()
    if not detail.keep_seconds or encoding != b"identity":
        return counting
    content_type = (first(headers, b"content-type") or b"").decode("latin-1")
    detail.heard = Heard(content_type, surface)
    return Chain(counting, detail.heard)


def segment_rows(seen: Seen) -> list[SegmentRow]:
    """What was asked of each segment and what it got; none of their text."""
    compressed = seen.compressed
    return [
        SegmentRow(
            index=i,
            kind=segment.kind,
            place=dotted(segment.where.path),
            start=segment.where.start,
            tokens=compressed.tokens_before[i],
            asked=seen.plan.asked_of(i),
            got=compressed.tokens_after[i],
            reason=compressed.why[i],
        )
        for i, segment in enumerate(compressed.prompt.segments)
    ]


def kept_segments(compressed: Compressed) -> list[KeptSegment]:
    """The text of all segments, and what was sent of it."""
    return [
        KeptSegment(
            index=i,
            kind=segment.kind,
            found=segment.why,
            text=segment.text,
            kept=list(compressed.kept[i]),
        )
        for i, segment in enumerate(compressed.prompt.segments)
    ]


def edit_rows(edits: Sequence[Edit]) -> list[EditRow]:
    """The edits of one text, placed in the restored text."""
    rows, moved = [], 0
    for edit in edits:
        piece, (begin, end, now) = edit.piece, edit.splice
        start = begin + moved
        moved += len(now) - (end - begin)
        segment, (begin, end) = piece.source
        rows.append(
            EditRow(
                start=start,
                end=start + len(now),
                was=piece.was,
                now=piece.now,
                source={"segment": segment, "start": begin, "end": end},
                why=piece.why,
            )
        )
    return rows


def answers(heard: Heard, edits: Sequence[Edit]) -> list[KeptAnswer]:
    """The texts of an answer, each as it came and as the client got it."""
    found = []
    for place, came in texts_of(heard.body, heard.content_type, heard.surface).items():
        own = [edit for edit in edits if dotted(edit.path) == place]
        restored, at = [], 0
        for start, end, now in (edit.splice for edit in own):
            restored += [came[at:start], now]
            at = end
        restored.append(came[at:])
        rows = edit_rows(own)
        found.append(KeptAnswer(place=place, came=came, restored="".join(restored), edits=rows))
    return found


def texts_of(body: bytes, content_type: str, surface: str = "chat") -> dict[str, str]:
    """The texts of an answer by their place, `choices[0].message.content` for one; a stream's
    deltas put together. What cannot be read has none."""
    if is_event_stream(content_type):
        return {dotted(path): text for path, text in stream_texts(_events(body), surface).items()}
    try:
        answer = read(body.decode(), f"{surface} answer")
    except (BadBody, UnicodeDecodeError):
        return {}
    return {dotted(said.text.path): said.text.value for said in ANSWERS[surface](answer.tree)}


def _events(body: bytes) -> Iterator[Any]:
    splitter = Splitter()
    for event in [*splitter.feed(body), splitter.flush()]:
        for line in event.splitlines():
            if line.startswith(b"data:"):
                with contextlib.suppress(ValueError, RecursionError):
                    yield json.loads(line.removeprefix(b"data:"))
