"""Which beginnings of a prompt the provider has likely in its cache, and how they were sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from unabridged.compression.body import Body
from unabridged.compression.kept import Spans
from unabridged.compression.prompt import Compressed, Prompt
from unabridged.compression.speech import CACHED
from unabridged.proxy.contexts import Values, digest

MOST_MARKS = 64
"""Of the prefixes of one prompt that are remembered: the longest."""
LEADING = ("tools", "functions", "response_format", "prompt_cache_key")
"""Keys of a body whose values providers read before the messages, or cache by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A prefix of a prompt: its first `end` segments."""

    end: int
    name: str
    """A digest of all the text up to here; a shelf makes its key of it."""
    whole: int = 0
    """Tokens as it came."""
    sent: int = 0
    """Tokens as it is sent."""
    cut: str = ""
    """A digest of what is kept; empty: all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """How a prefix went out the last time, within the lifetime of the provider's cache."""

    whole: int
    sent: int
    cut: str
    uses: int
    """How often it went out, each within that time of the one before."""
    version: str = ""
    """Of the rules it was cut by."""
    kept: tuple[Spans, ...] | None = None
    """Of a whole request; None: shorter prefixes do not say."""
    order: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    """Tokens of each segment as it was sent."""


def marks(prompt: Prompt, body: Body, destination: str) -> tuple[Mark, ...]:
    """The prefixes of a prompt that another request may share: up to the end of a message, and
    up to where something of another kind begins (a question behind documents). `destination`
    names upstream and model. Each digest is that of the one before and of the text between.

    Anthropic's API caches only what it is asked to: up to a mark, or as it sees fit.
    """
    leading = [body.raw[m.value : m.end] for m in body.members if m.key in LEADING]
    name = digest([destination, *leading])
    found: list[Mark] = []
    segments = prompt.segments
    asks = body.surface == "messages" and body.value("cache_control") is None
    for i, segment in enumerate(segments[: marked_end(prompt)] if asks else segments):
        name = digest([name, repr(segment.where.path), segment.text])
        after = segments[i + 1] if i + 1 < len(segments) else None
        if after is None or after.where.path != segment.where.path or after.kind != segment.kind:
            found.append(Mark(end=i + 1, name=name))
    return tuple(found[-MOST_MARKS:])


def marked_end(prompt: Prompt) -> int:
    """Up to where the client has marked the prompt to be cached, in segments."""
    return max((i + 1 for i, s in enumerate(prompt.segments) if s.why == CACHED), default=0)


def measured(found: Sequence[Mark], compressed: Compressed) -> tuple[Mark, ...]:
    """The marks with their tokens and cuts."""
    measures: list[Mark] = []
    entire = [((0, len(s.text)),) if s.text else () for s in compressed.prompt.segments]
    for mark in found:
        kept, end = compressed.kept, mark.end
        same = list(kept[:end]) == entire[:end] and not compressed.order
        measures.append(
            replace(
                mark,
                whole=sum(compressed.tokens_before[:end]),
                sent=sum(compressed.tokens_after[:end]),
                cut="" if same else digest([repr((kept[:end], compressed.order[:end]))]),
            )
        )
    return tuple(measures)


def look(values: Values, found: Sequence[Mark]) -> list[Known | None]:
    """What is known of each prefix. Raises StoreDown."""
    if not found:
        return []
    told = values.get([f"prefix:{mark.name}" for mark in found])
    return [
        None if value is None else _decode(value, mark)
        for value, mark in zip(told, found, strict=True)
    ]


def note(
    values: Values,
    found: Sequence[Mark],
    compressed: Compressed,
    *,
    version: str,
    seconds: int,
) -> None:
    """A request went out: its prefixes are in the provider's cache for so long. Raises
    StoreDown."""
    before = look(values, found)
    said: dict[str, bytes] = {}
    for mark, known in zip(found, before, strict=True):
        uses = 1 + (known.uses if known else 0)
        record = {"t": [mark.whole, mark.sent, mark.cut, uses]}
        if mark.end == len(compressed.kept):
            record |= {
                "v": [version],
                "k": list(compressed.kept),
                "o": list(compressed.order),
                "a": list(compressed.tokens_after),
            }
        elif known is not None and known.kept is not None and known.cut == mark.cut:
            record |= {
                "v": [known.version],
                "k": list(known.kept),
                "o": list(known.order),
                "a": list(known.after),
            }
        said[f"prefix:{mark.name}"] = json.dumps(record, separators=(",", ":")).encode()
    if said:
        values.put(said, seconds=seconds)


def _decode(value: bytes, mark: Mark) -> Known | None:
    """None if it is not of this prefix."""
    try:
        data = json.loads(value)
        whole, sent, cut, uses = data["t"]
        kept = data.get("k")
        known = Known(
            whole=int(whole),
            sent=int(sent),
            cut=str(cut),
            uses=int(uses),
            version=str(data.get("v", [""])[0]),
            kept=None
            if kept is None
            else tuple(tuple((int(a), int(b)) for a, b in spans) for spans in kept),
            order=tuple(map(int, data.get("o", ()))),
            after=tuple(map(int, data.get("a", ()))),
        )
    except (ValueError, TypeError, KeyError, IndexError):
        return None
    fits = known.kept is None or len(known.kept) == len(known.after) == mark.end
    return known if fits else None
