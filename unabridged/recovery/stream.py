"""Restores a streamed chat completion, or one of the older API: events in, bytes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from unabridged.compression.body import BadBody, read
from unabridged.compression.prompt import Path
from unabridged.recovery.answer import Edit, edits_of
from unabridged.recovery.frames import Frame, Frames
from unabridged.recovery.index import Index
from unabridged.recovery.json_text import Restorer, encode, spell
from unabridged.recovery.said import RESTORERS, SCORED


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text in a chunk: of a choice's content, or of the arguments of one call."""

    name: str
    choice: int
    call: dict[str, Any] | None
    """For a tool call, what says which: its index."""
    field: Path
    """Where the piece stands in the chunk."""
    path: Path
    """Where the text will stand in the whole answer."""
    text: str


def chunk_parts(choice: dict[str, Any], n: int) -> Iterator[Part]:
    """The pieces in the `n`-th choice of a chunk. Raises AttributeError and TypeError for what
    is none."""
    where: Path
    path: Path
    number = choice.get("index", 0)
    if isinstance(choice.get("text"), str):
        where, path = ("choices", n, "text"), ("choices", number, "text")
        yield Part("text", number, None, where, path, choice["text"])
        return
    delta = choice.get("delta") or {}
    top = ("choices", n, "delta")
    whole = ("choices", number, "message")
    if isinstance(delta.get("content"), str):
        where, path = (*top, "content"), (*whole, "content")
        yield Part("content", number, None, where, path, delta["content"])
    for i, call in enumerate(delta.get("tool_calls") or ()):
        arguments = (call.get("function") or {}).get("arguments")
        if isinstance(arguments, str):
            index = call.get("index", i)
            where = (*top, "tool_calls", i, "function", "arguments")
            path = (*whole, "tool_calls", index, "function", "arguments")
            yield Part("tool_calls", number, {"index": index}, where, path, arguments)
    call = delta.get("function_call") or {}
    if isinstance(call.get("arguments"), str):
        where = (*top, "function_call", "arguments")
        path = (*whole, "function_call", "arguments")
        yield Part("function_call", number, {}, where, path, call["arguments"])


@dataclass(slots=True)
class _Channel:
    """One text that arrives in pieces."""

    restorer: Restorer
    part: Part
    """The first of them."""
    envelope: dict[str, Any] = field(default_factory=dict)
    """The event of its newest delta, without choices and usage."""
    seen: int = 0


@dataclass(slots=True)
class _Delta:
    """A piece of a channel's text in one event."""

    part: Part
    channel: _Channel
    now: str


class StreamRestorer:
    """Restores a stream of chat.completion.chunk or text_completion events.

    `feed` takes bytes as they come and gives bytes to send. An event in which nothing changes
    leaves byte for byte as it came. Text that may be the beginning of something to restore is
    held back, at most text_stream.MOST_HELD_WORDS words of each choice, and leaves with the
    next delta of its choice, or in an event of its own before the choice ends.
    """

    def __init__(self, index: Index) -> None:
        self.edits: list[Edit] = []
        self.untouched: list[str] = []
        """What was left alone as a whole, and why."""
        self._index = index
        self._frames = Frames()
        self._channels: dict[Path, _Channel] = {}
        self._scored: set[int] = set()
        self._newline = b"\n"

    def feed(self, chunk: bytes) -> bytes:
        """What can be sent after `chunk` has come."""
        if self._index.empty:
            return chunk
        return self._frames.feed(chunk, self._event)

    def flush(self) -> bytes:
        """What is still held; call it at the end of the stream, however it ended."""
        rest = self._frames.rest()
        return self._release_all() + rest

    def _event(self, frame: Frame) -> bytes:
        if b"\r\n" in frame.raw:
            self._newline = b"\r\n"
        choices = frame.event.get("choices") if frame.event else None
        if frame.event is None or not isinstance(choices, list) or not choices:
            return self._release_all() + frame.raw
        try:
            return self._chunk(frame, frame.event, choices)
        except (KeyError, TypeError, AttributeError, BadBody):
            # Not the shape of a chunk: it passes as it came, behind what came before it.
            return self._release_all() + frame.raw

    def _chunk(self, frame: Frame, event: dict[str, Any], choices: list[Any]) -> bytes:
        before: list[bytes] = []
        deltas: list[_Delta] = []
        # All of it is read first: what is no chunk must not have been taken in by half.
        read_parts = [list(chunk_parts(choice, n)) for n, choice in enumerate(choices)]
        for choice, parts in zip(choices, read_parts, strict=True):
            number = choice.get("index", 0)
            if choice.get("logprobs") is not None and number not in self._scored:
                self._scored.add(number)
                self.untouched.append(f"choice {number}: {SCORED}")
                before.append(self._release(number))
            if number in self._scored:
                continue
            found = [self._delta(event, part) for part in parts]
            if any(d.part.call is not None for d in found):
                # Words that come with a call stand before it and go with it.
                words = [d for d in found if d.part.call is None]
                for delta in words:
                    delta.now += delta.channel.restorer.flush()
                but = [d.channel for d in words]
                before.append(self._release(number, only="content", but=but))
            deltas.extend(found)
            if choice.get("finish_reason"):
                for delta in found:
                    delta.now += delta.channel.restorer.flush()
                before.append(self._release(number, but=[d.channel for d in found]))
        for delta in deltas:
            self._note(delta.channel)
        if all(d.part.text == d.now for d in deltas):
            return b"".join([*before, frame.raw])
        if _only_text(event, deltas):
            return b"".join(before)
        return b"".join([*before, frame.with_data(_rewritten(frame.data, deltas))])

    def _delta(self, event: dict[str, Any], part: Part) -> _Delta:
        channel = self._channels.get(part.path)
        if channel is None:
            restorer = RESTORERS["words" if part.call is None else "json"](self._index)
            channel = self._channels[part.path] = _Channel(restorer=restorer, part=part)
        now = channel.restorer.feed(part.text)
        if channel.restorer.holds:
            channel.envelope = event
        return _Delta(part=part, channel=channel, now=now)

    def _release_all(self) -> bytes:
        return b"".join(
            [self._release(number) for number in {c.part.choice for c in self._channels.values()}]
        )

    def _release(self, number: int, only: str = "", but: list[_Channel] | None = None) -> bytes:
        """Events with what a choice still holds."""
        out: list[bytes] = []
        for key, channel in list(self._channels.items()):
            if channel.part.choice != number or (only and channel.part.name != only):
                continue
            if but is None or all(channel is not one for one in but):
                text = channel.restorer.flush()
                self._note(channel)
                if text:
                    out.append(self._written(channel, text))
            del self._channels[key]
        return b"".join(out)

    def _written(self, channel: _Channel, text: str) -> bytes:
        said: dict[str, Any]
        part = channel.part
        if part.name == "text":
            said = {"text": text}
        elif part.call is None:
            said = {"delta": {"content": text}}
        elif part.name == "tool_calls":
            call = {**part.call, "function": {"arguments": text}}
            said = {"delta": {"tool_calls": [call]}}
        else:
            said = {"delta": {"function_call": {"arguments": text}}}
        skip = ("choices", "usage", "obfuscation")
        event = {key: value for key, value in channel.envelope.items() if key not in skip}
        event["choices"] = [{"index": part.choice, **said, "finish_reason": None}]
        return b"data: " + spell(event).encode() + self._newline * 2

    def _note(self, channel: _Channel) -> None:
        self.edits.extend(edits_of(channel.part.path, channel.restorer, channel.seen))
        channel.seen = len(channel.restorer.edits)


_NO_NEWS = frozenset(
    {"id", "object", "created", "model", "system_fingerprint", "service_tier", "provider",
     "choices", "index", "delta", "text", "obfuscation"}
)  # fmt: skip
"""Keys of a chunk and its choice that every one of a stream has in the same words, or that
belong to its text."""


def _only_text(event: dict[str, Any], deltas: list[_Delta]) -> bool:
    """True if an event held one delta and nothing else, and all of that is held back."""
    if len(deltas) != 1 or deltas[0].now or len(event["choices"]) != 1:
        return False
    choice = event["choices"][0]
    if any(value for key, value in (*event.items(), *choice.items()) if key not in _NO_NEWS):
        return False  # usage, a reason to finish, token ids, what a filter has found, ...
    if deltas[0].part.name == "text":
        return True
    if len(choice["delta"]) != 1:
        return False
    if deltas[0].part.call is None:
        return True
    calls = choice["delta"].get("tool_calls") or []
    return (
        len(calls) == 1
        and calls[0].keys() <= {"index", "function"}
        and calls[0]["function"].keys() == {"arguments"}
    )


def _rewritten(data: bytes, deltas: list[_Delta]) -> bytes:
    """The event with the texts of some deltas replaced, all else as it came."""
    body = read(data.decode(), "chat chunk")
    ascii_only = body.raw.isascii() and "\\u" in body.raw
    now = {delta.part.field: delta for delta in deltas}
    out: list[str] = []
    at = 0
    for text in body.texts:
        delta = now.get(text.path)
        if delta is None or delta.part.text == delta.now:
            continue
        out.extend((body.raw[at : text.start], encode(delta.now, ascii_only)))
        at = text.end
    return "".join([*out, body.raw[at:]]).encode()
