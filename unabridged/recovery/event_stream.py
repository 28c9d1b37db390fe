"""Restores a stream whose events have types: one of the Responses or of the Messages API."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unabridged.compression.body import BadBody, read
from unabridged.compression.prompt import Path
from unabridged.recovery import said
from unabridged.recovery.answer import Edit, edits_of, rewritten
from unabridged.recovery.frames import Frame, Frames
from unabridged.recovery.index import Index
from unabridged.recovery.json_text import Restorer, Splice, encode
from unabridged.recovery.said import RESTORERS, Form, Said

Key = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a text in an event."""

    key: Key
    """Which text: what comes first in it is what the text is a part of, such as an item."""
    field: Path
    """Where the piece stands in the event."""
    form: Form
    path: Path
    """Where the text will stand in the whole answer."""
    why_not: str = ""
    """Why it is left as it is."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the events of one API carry text: plain functions of an event."""

    surface: str
    delta: Callable[[dict[str, Any]], Delta | None]
    """The piece of text that an event is for."""
    ends: Callable[[dict[str, Any]], Key | None]
    """The start of the keys of the texts that are complete before an event; None: no text is."""
    whole: Mapping[str, Callable[[dict[str, Any]], Iterator[Said]]]
    """By type: the texts that an event repeats whole; gets it with its strings as `Text`."""
    leaves: Callable[[dict[str, Any]], Key | None]
    """The key of a text that begins and is to be left as it is."""
    cites: Callable[[dict[str, Any]], bool]
    """True if an event says that the answer will count its own characters."""


@dataclass(slots=True)
class _Channel:
    restorer: Restorer
    path: Path
    field: Path
    text: str = ""
    """All that came."""
    last: Frame | None = None
    """The event of the newest piece."""
    seen: int = 0


class EventRestorer:
    """Takes bytes as they come and gives bytes to send, as StreamRestorer does. A text that is
    repeated whole at its end (`output_text.done`, `response.completed`) is restored to the same
    wording as its pieces."""

    def __init__(self, index: Index, shape: Shape) -> None:
        self.edits: list[Edit] = []
        self.untouched: list[str] = []
        """What was left alone as a whole, and why."""
        self._index = index
        self._shape = shape
        self._frames = Frames()
        self._channels: dict[Key, _Channel] = {}
        self._known: dict[str, Sequence[Splice]] = {}
        self._left: set[Key] = set()
        self._cites = False

    def feed(self, chunk: bytes) -> bytes:
        """What can be sent after `chunk` has come."""
        if self._index.empty or self._cites:
            return self._frames.rest() + chunk
        return self._frames.feed(chunk, self._event)

    def flush(self) -> bytes:
        """What is still held; call it at the end of the stream, however it ended."""
        rest = self._frames.rest()
        return self._release(()) + rest

    def _event(self, frame: Frame) -> bytes:
        event = frame.event
        if event is None or self._cites:
            return self._release(()) + frame.raw
        try:
            if self._shape.cites(event):
                self._cites = True
                self.untouched.append(said.CITED)
                return self._release(()) + frame.raw
            left = self._shape.leaves(event)
            if left is not None:
                self._left.add(left)
            delta = self._shape.delta(event)
            if delta is not None:
                return self._piece(frame, event, delta)
            ended = self._shape.ends(event)
            before = b"" if ended is None else self._release(ended)
            return before + self._repeated(frame, event)
        except (KeyError, TypeError, AttributeError, BadBody, UnicodeDecodeError):
            # Not the shape that it should have: it passes as it came, behind what was held.
            return self._release(()) + frame.raw

    def _piece(self, frame: Frame, event: dict[str, Any], delta: Delta) -> bytes:
        if delta.why_not and delta.key not in self._left:
            self._left.add(delta.key)
            self.untouched.append(delta.why_not)
        if delta.key in self._left:
            return self._release(delta.key) + frame.raw
        channel = self._channels.get(delta.key)
        if channel is None:
            restorer = RESTORERS[delta.form](self._index)
            channel = _Channel(restorer=restorer, path=delta.path, field=delta.field)
            self._channels[delta.key] = channel
        was = text_at(event, delta.field)
        channel.text += was
        now = channel.restorer.feed(was)
        channel.last = frame
        self._note(channel)
        if now == was:
            return frame.raw
        # Until something is decided, an event with nothing in it is no news.
        return self._with_text(frame, channel, now) if now else b""

    def _repeated(self, frame: Frame, event: dict[str, Any]) -> bytes:
        """An event with the texts in it restored that stood in deltas before."""
        whole = self._shape.whole.get(event.get("type", ""))
        if whole is None:
            return frame.raw
        body = read(frame.data.decode(), f"{self._shape.surface} event")
        raw, _ = rewritten(body, whole(body.tree), self._index, self._known)
        return frame.raw if raw == body.raw else frame.with_data(raw.encode())

    def _release(self, ended: Key) -> bytes:
        """Events with what the texts still hold whose keys begin so."""
        out: list[bytes] = []
        for key in [key for key in self._channels if key[: len(ended)] == ended]:
            channel = self._channels.pop(key)
            text = channel.restorer.flush()
            self._note(channel)
            self._known[channel.text] = tuple(channel.restorer.splices)
            if text and channel.last is not None:
                # It says the number of the newest piece: of one that was not sent, or of one
                # that is sent in two parts, so that no client takes it for a gap.
                out.append(self._with_text(channel.last, channel, text))
        return b"".join(out)

    def _with_text(self, frame: Frame, channel: _Channel, text: str) -> bytes:
        body = read(frame.data.decode(), f"{self._shape.surface} event")
        place = next(t for t in body.texts if t.path == channel.field)
        ascii_only = body.raw.isascii() and "\\u" in body.raw
        inside = encode(text, ascii_only)
        return frame.with_data((body.raw[: place.start] + inside + body.raw[place.end :]).encode())

    def _note(self, channel: _Channel) -> None:
        self.edits.extend(edits_of(channel.path, channel.restorer, channel.seen))
        channel.seen = len(channel.restorer.edits)


def text_at(event: dict[str, Any], path: Path) -> str:
    """Raises KeyError and TypeError where there is none."""
    value: Any = event
    for step in path:
        value = value[step]
    if not isinstance(value, str):
        raise TypeError(path)
    return value
