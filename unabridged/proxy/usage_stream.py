"""Reads the usage out of a streamed answer, and takes out again what only we asked for."""

from __future__ import annotations

import json
import re
from typing import Any

from unabridged.compression.body import BadBody, Body, read
from unabridged.proxy.answer_text import event_texts
from unabridged.proxy.sse import Splitter
from unabridged.proxy.usage import Used, used

MOST_TEXT = 4 * 2**20
"""Characters of an answer that are kept to be counted, should no usage come."""
_DATA = re.compile(rb"^data:[ ]?(.*?)(?:\r\n|\n|\r)", re.MULTILINE | re.DOTALL)
_LAST = ("response.completed", "response.incomplete", "response.failed", "message_stop")
"""Types of the events that end an answer where there is no `[DONE]`."""


def ask_for_usage(body: Body) -> str | None:
    """The body with `stream_options.include_usage` set; None if it is no stream, or asks for it
    already, or has options that cannot be read. All other bytes stay."""
    if body.scalar("stream") is not True or body.trouble:
        return None
    wish = '"include_usage":true'
    place = next((m for m in body.members if m.key == "stream_options"), None)
    if place is None:
        last = body.members[-1]
        return f'{body.raw[: last.end]},"stream_options":{{{wish}}}{body.raw[last.end :]}'
    options = body.value("stream_options")
    if options is None:
        changed = f"{{{wish}}}"
    elif not isinstance(options, dict) or options.get("include_usage"):
        return None
    else:
        rest = read(body.raw[place.value : place.end]).without("include_usage")
        comma = "," if len(options) > ("include_usage" in options) else ""
        changed = "{" + wish + comma + rest.lstrip()[1:]
    return body.raw[: place.value] + changed + body.raw[place.end :]


class UsageStream:
    """Hands on an event stream byte for byte, and remembers what it says about usage.

    If we asked for the usage and the client did not, the chunk that holds nothing else is left
    out, and so is the `"usage":null` of the others. How the stream is chopped does not change
    what comes out.
    """

    def __init__(self, *, ours: bool) -> None:
        """`ours`: it was us who asked, not the client."""
        self._ours = ours
        self._splitter = Splitter()
        self._kept = 0
        self._texts: list[str] = []
        self._usage: dict[str, Any] = {}
        self.service_tier: Any = None
        """As the answer says."""
        self.complete = False
        """True once the answer said that it is: `[DONE]` or a finish_reason."""
        self.failed = False
        """True if the stream carries an error event."""

    @property
    def used(self) -> Used | None:
        """None if the stream did not tell."""
        return used(self._usage or None)

    @property
    def text(self) -> str:
        """What the answer says, all choices and tool calls one after another, to be counted if
        there is no usage."""
        return "".join(self._texts)

    def feed(self, piece: bytes) -> bytes:
        """What can go on to the client now."""
        return b"".join(map(self._event, self._splitter.feed(piece)))

    def flush(self) -> bytes:
        """What is left at the end, the last event if its empty line is missing."""
        rest = self._splitter.flush()
        return self._event(rest) if rest else b""

    def _event(self, event: bytes) -> bytes:
        found = _DATA.findall(event + b"\n")
        if not found:
            return event
        # Data on several lines is read, and never rewritten.
        data = b"\n".join(found)
        if data.strip() == b"[DONE]":
            self.complete = True
            return event
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            return event
        if not isinstance(chunk, dict):
            return event
        self._look(chunk)
        if not self._ours or "usage" not in chunk:
            return event
        if chunk["usage"] is not None:
            return b"" if chunk.get("choices") == [] else event
        return event.replace(data, _without_usage(data), 1)

    def _look(self, chunk: dict[str, Any]) -> None:
        for holder in (chunk, chunk.get("response"), chunk.get("message")):
            if isinstance(holder, dict):
                if isinstance(holder.get("usage"), dict):
                    # The Messages API tells it in two parts.
                    self._usage = {**self._usage, **holder["usage"]}
                self.service_tier = holder.get("service_tier") or self.service_tier
        if chunk.get("error") is not None:
            self.failed = True
        self.complete = self.complete or chunk.get("type") in _LAST
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self.complete = self.complete or bool(choice.get("finish_reason"))
        for text in event_texts(chunk):
            if self._kept < MOST_TEXT:
                self._texts.append(text)
                self._kept += len(text)


def _without_usage(data: bytes) -> bytes:
    try:
        return read(data.decode()).without("usage").encode()
    except (BadBody, UnicodeDecodeError):
        return data
