"""Puts a prompt together again: as it came, or with only what was kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unabridged.compression.body import read, splice
from unabridged.compression.prompt import Compressed, Path, Prompt, Segment, Span

# One character each: a surrogate pair is one.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strip:
    """What is written of one segment."""

    segment: Segment
    spans: Sequence[Span]


def join(prompt: Prompt) -> str:
    """The body again, written from the segments alone: join(split(body)) == body."""
    return _write(prompt, (_Strip(segment=s, spans=((0, len(s.text)),)) for s in prompt.segments))


def render(compressed: Compressed) -> str:
    """The body that is sent: the kept spans of every segment, in `order` within each string.

    Raises ValueError if `order` does not name every segment exactly once.
    """
    segments = compressed.prompt.segments
    order = compressed.order or tuple(range(len(segments)))
    if sorted(order) != list(range(len(segments))):
        raise ValueError(f"order must name each of the {len(segments)} segments once: {order}")
    return _write(
        compressed.prompt, (_Strip(segment=segments[i], spans=compressed.kept[i]) for i in order)
    )


def whole_escapes(segment: Segment, spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans widened so that none cuts a JSON escape of an `escaped` segment in two;
    spans of any other segment come back as they are."""
    if not segment.escaped or "\\" not in segment.text:
        return tuple(spans)
    escapes = [found.span() for found in _ESCAPE.finditer(segment.text)]
    wide: list[Span] = []
    at = 0
    for start, end in spans:
        while at < len(escapes) and escapes[at][1] <= start:
            at += 1
        if at < len(escapes) and escapes[at][0] < start:
            start = escapes[at][0]
        while at < len(escapes) and escapes[at][1] <= end:
            at += 1
        if at < len(escapes) and escapes[at][0] < end:
            end = escapes[at][1]
        if wide and wide[-1][1] >= start:
            wide[-1] = wide[-1][0], max(end, wide[-1][1])
        else:
            wide.append((start, end))
    return tuple(wide)


def _write(prompt: Prompt, strips: Iterable[_Strip]) -> str:
    if not prompt.segments:
        return prompt.body
    if all(s.where.path == () for s in prompt.segments):
        return "".join(strip.segment.text[a:b] for strip in strips for a, b in strip.spans)
    kept: dict[Path, list[Span]] = {s.where.path: [] for s in prompt.segments}
    for strip in strips:
        start = strip.segment.where.start
        kept[strip.segment.where.path].extend((start + a, start + b) for a, b in strip.spans)
    return splice(read(prompt.body, prompt.surface), kept)
