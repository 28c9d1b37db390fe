"""What is told of a request beside its receipt: its segments, and its text if it may be kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unabridged.compression.plan import Plan
from unabridged.compression.prompt import Compressed
from unabridged.policies.problem import dotted
from unabridged.proxy.headers import Headers, first
from unabridged.proxy.page_answers import EditRow, KeptAnswer, KeptSegment, SegmentRow
from unabridged.proxy.relay import Chain, Filter
from unabridged.proxy.sse import Splitter, is_event_stream
from unabridged.recovery.answer import Edit

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

    def __init__(self, content_type: str) -> None:
        self.content_type = content_type
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
    heard: Heard | None = None
    edits: Sequence[Edit] = ()
    tenant: str = ""
    intent: str = ""
    """For the caller alone: no log, metric or database has it."""


def heard(counting: Filter, headers: Headers, detail: Detail) -> Filter:
    """What an answer goes through: `counting`, and where its text may be kept, an ear."""
    encoding = (first(headers, b"content-encoding") or b"identity").lower()
    if not detail.keep_seconds or encoding != b"identity":
        return counting
    detail.heard = Heard((first(headers, b"content-type") or b"").decode("latin-1"))
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
    for piece in (edit.piece for edit in edits):
        start = piece.start + moved
        moved += len(piece.now) - (piece.end - piece.start)
        segment, (begin, end) = piece.source
        rows.append(
            EditRow(
                start=start,
                end=start + len(piece.now),
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
    for path, came in texts_of(heard.body, heard.content_type).items():
        own = [edit for edit in edits if dotted(edit.path) == path]
        rows = edit_rows(own)
        restored, at = [], 0
        for piece in (edit.piece for edit in own):
            restored += [came[at : piece.start], piece.now]
            at = piece.end
        restored.append(came[at:])
        found.append(KeptAnswer(place=path, came=came, restored="".join(restored), edits=rows))
    return found


def texts_of(body: bytes, content_type: str) -> dict[str, str]:
    """The texts of an answer by their place, `choices[0].message.content` for one; a stream's
    deltas put together. What cannot be read has none."""
    if is_event_stream(content_type):
        events: list[Any] = []
        splitter = Splitter()
        for event in [*splitter.feed(body), splitter.flush()]:
            for line in event.splitlines():
                data = line.removeprefix(b"data:").strip()
                if line.startswith(b"data:") and data != b"[DONE]":
                    events.append(_parsed(data))
    else:
        events = [_parsed(body)]
    found: dict[str, str] = {}
    for event in events:
        for place, text in _texts(event):
            found[place] = found.get(place, "") + text
    return found


def _texts(event: Any) -> list[tuple[str, str]]:
    choices = event.get("choices") if isinstance(event, Mapping) else None
    found = []
    for n, choice in enumerate(choices if isinstance(choices, list) else ()):
        if not isinstance(choice, Mapping):
            continue
        top = f"choices[{choice.get('index', n)}]"
        if isinstance(choice.get("text"), str):
            found.append((f"{top}.text", choice["text"]))
        message = choice.get("message") or choice.get("delta")
        if not isinstance(message, Mapping):
            continue
        if isinstance(message.get("content"), str):
            found.append((f"{top}.message.content", message["content"]))
        for i, call in enumerate(message.get("tool_calls") or ()):
            arguments = (call.get("function") or {}).get("arguments")
            if isinstance(arguments, str):
                place = f"{top}.message.tool_calls[{call.get('index', i)}].function.arguments"
                found.append((place, arguments))
    return found


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
