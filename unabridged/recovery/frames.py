"""Cuts the bytes of an event stream into whole events, each with the data that it carries."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_DATA = re.compile(rb"^data:[ ]?(.*?)\r?$", re.MULTILINE)

LARGEST_EVENT = 8 * 2**20
"""Bytes without an end of event after which they are let go as they came."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event (`text/event-stream`, HTML standard section 9.2)."""

    raw: bytes
    """As it came, the empty line that ends it included."""
    data: bytes
    """What stands behind `data:`; empty if it is not one line."""
    event: dict[str, Any] | None
    """The data, if it is a JSON object."""

    def with_data(self, data: bytes) -> bytes:
        """The event with other data, all else as it came."""
        return self.raw.replace(self.data, data, 1)


@dataclass(slots=True)
class Frames:
    """Gathers bytes until an event is whole."""

    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, chunk: bytes, read: Callable[[Frame], bytes]) -> bytes:
        """What `read` makes of the events that are whole now."""
        start = max(0, len(self._buffer) - 3)
        self._buffer += chunk
        out: list[bytes] = []
        done = 0
        while (end := _END.search(self._buffer, max(start, done))) is not None:
            if end.group() == b"\r\n\r" and end.end() == len(self._buffer):
                break  # the line feed of the second pair is still to come
            raw = bytes(self._buffer[done : end.end()])
            # What carries no data (comments, keep-alive) has nothing to be read.
            out.append(read(_frame(raw)) if _DATA.search(raw) else raw)
            done = end.end()
        del self._buffer[:done]
        if len(self._buffer) > LARGEST_EVENT:
            out.append(self.rest())
        return b"".join(out)

    def rest(self) -> bytes:
        """What came after the last whole event."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


def _frame(raw: bytes) -> Frame:
    lines = _DATA.findall(raw)
    if len(lines) != 1:
        return Frame(raw, b"", None)
    try:
        event = json.loads(lines[0].decode())
    except (ValueError, RecursionError):
        event = None
    return Frame(raw, lines[0], event if isinstance(event, dict) else None)
