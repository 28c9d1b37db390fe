"""Cuts a stream of server-sent events into events, without decoding a byte."""

from __future__ import annotations

import re

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n")
_LONGEST_END = 4

LARGEST_EVENT = 8 * 2**20
"""Bytes without an end of event after which the stream is not taken for events any more."""


_LAST = (
    b"[DONE]",
    b'"finish_reason":"',
    b"event:response.completed",
    b"event:response.incomplete",
    b"event:response.failed",
    b"event:message_stop",
)
"""By which the streams of one API or another say that they are complete."""


class Splitter:
    """Gathers bytes until an event is whole (WHATWG HTML, section 9.2: an empty line ends it).

    However the bytes are chopped, the events are the same; joined they are the bytes.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._seen = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that are whole now, each with the empty line that ends it."""
        self._rest += piece
        events: list[bytes] = []
        start = 0
        for end in _END.finditer(self._rest, max(0, self._seen - _LONGEST_END)):
            # A lone CR at the very end may be the first half of CR LF.
            if end.end() == len(self._rest) and self._rest[-1:] == b"\r":
                break
            events.append(bytes(self._rest[start : end.end()]))
            start = end.end()
        del self._rest[:start]
        self._seen = len(self._rest)
        if len(self._rest) > LARGEST_EVENT:
            events.append(self.flush())
        return events

    def flush(self) -> bytes:
        """What came after the last whole event."""
        rest = bytes(self._rest)
        self._rest.clear()
        self._seen = 0
        return rest


class Watch:
    """Looks over a relayed stream's shoulder: is it between two events, and has it ended?"""

    def __init__(self) -> None:
        self._tail = b""
        self._ended = False

    def see(self, piece: bytes) -> None:
        tail = self._tail + piece
        if not self._ended:
            told = tail.replace(b" ", b"")
            self._ended = any(mark in told for mark in _LAST)
        self._tail = tail[-32:]

    @property
    def between_events(self) -> bool:
        return not self._tail or self._tail.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))

    @property
    def ended(self) -> bool:
        """True once the answer said that it is complete."""
        return self._ended


def is_event_stream(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "text/event-stream"


def is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"
