"""What providers of other shapes send over the wire, as their references publish it: an answer
that says something, calls a function or does both, whole and as a stream."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fake_upstream import Piece, Reply, Seen, answer, events

FUNCTION = "note"
CALL_ID = "call_1"
INPUT_TOKENS, OUTPUT_TOKENS = 9, 4
Arguments = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Wire:
    """One provider's way of answering."""

    provider: str
    """As litellm names it."""
    model: str
    whole: Callable[[str, Arguments], Any]
    """(text, arguments of the call) -> the JSON of a whole answer. Empty: it says nothing, or
    calls nothing."""
    streamed: Callable[[Sequence[str], Sequence[str]], Reply]
    """(pieces of the text, pieces of the arguments' JSON) -> a stream."""
    path: str = ""
    """Behind the server's root, in the upstream's URL."""
    params: Mapping[str, str] = field(default_factory=dict)
    """ROOT in them stands for the server's root."""

    def reply(self, text: Sequence[str], arguments: Sequence[str]) -> Callable[[Seen], Reply]:
        """A stream if one is asked for, as the provider is asked for it; else a whole answer."""

        def told(seen: Seen) -> Reply:
            if "stream" in seen.target.lower() or seen.json.get("stream"):
                return self.streamed(text, arguments)
            whole = self.whole("".join(text), json.loads("".join(arguments) or "{}"))
            return answer(json.dumps(whole).encode())

        return told


def _sse(said: Sequence[Mapping[str, Any]], end: str = "\n\n") -> Reply:
    named = (f"event: {e['type']}\n" if "type" in e else "" for e in said)
    return events(
        *(f"{n}data: {json.dumps(e)}{end}".encode() for n, e in zip(named, said, strict=True))
    )


def _anthropic(text: str, arguments: Arguments) -> Any:
    call = {"type": "tool_use", "id": CALL_ID, "name": FUNCTION, "input": arguments}
    said = {"type": "text", "text": text}
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
        "content": [*[said] * bool(text), *[call] * bool(arguments)],
        "stop_reason": "tool_use" if arguments else "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
    }  # fmt: skip


def _anthropic_block(index: int, block: Any, kind: str, name: str, pieces: Sequence[str]) -> Any:
    if not pieces:
        return []
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": {"type": kind, name: piece}}
          for piece in pieces),
        {"type": "content_block_stop", "index": index},
    ]  # fmt: skip


def _anthropic_stream(text: Sequence[str], arguments: Sequence[str]) -> Reply:
    message = {**_anthropic("", {}), "content": [], "stop_reason": None}
    begun = {**message, "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": 1}}
    call = {"type": "tool_use", "id": CALL_ID, "name": FUNCTION, "input": {}}
    said = {"type": "text", "text": ""}
    end = {"stop_reason": "tool_use" if arguments else "end_turn", "stop_sequence": None}
    return _sse([
        {"type": "message_start", "message": begun},
        {"type": "ping"},
        *_anthropic_block(0, said, "text_delta", "text", text),
        *_anthropic_block(bool(text), call, "input_json_delta", "partial_json", arguments),
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": OUTPUT_TOKENS}},
        {"type": "message_stop"},
    ])  # fmt: skip


def _gemini_part(parts: Sequence[Any], **more: Any) -> Any:
    usage = {"promptTokenCount": INPUT_TOKENS, "candidatesTokenCount": OUTPUT_TOKENS,
             "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS}  # fmt: skip
    content = {"role": "model", "parts": parts}
    return {"candidates": [{"content": content, "index": 0, **more}], "usageMetadata": usage}


def _gemini_call(arguments: Arguments) -> list[Any]:
    """A call, which is never in pieces there."""
    return [{"functionCall": {"name": FUNCTION, "args": arguments}}] if arguments else []


def _gemini(text: str, arguments: Arguments) -> Any:
    said = [{"text": text}] if text else []
    return _gemini_part([*said, *_gemini_call(arguments)], finishReason="STOP")


def _gemini_stream(text: Sequence[str], arguments: Sequence[str]) -> Reply:
    last = _gemini_call(json.loads("".join(arguments) or "{}"))
    said = [_gemini_part([{"text": t}]) for t in text]
    return _sse([*said, _gemini_part(last, finishReason="STOP")], end="\r\n\r\n")


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A message of AWS's `application/vnd.amazon.eventstream`: two lengths and their CRC, the
    headers (all strings: type 7), the payload, and the CRC of all of it."""
    head = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value.encode()))
        + value.encode()
        for name, value in headers.items()
    )  # fmt: skip
    lengths = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    rest = lengths + struct.pack("!I", zlib.crc32(lengths)) + head + payload
    return rest + struct.pack("!I", zlib.crc32(rest))


def aws_event(kind: str, payload: Any) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(payload).encode())


def aws_exception(kind: str, message: str) -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json",
               ":message-type": "exception"}  # fmt: skip
    return frame(headers, json.dumps({"message": message}).encode())


def aws_stream(*frames: bytes, end: Sequence[Piece] = ()) -> Reply:
    """Frames in pieces that end wherever they happen to."""
    whole = b"".join(frames)
    pieces = [whole[n : n + 50] for n in range(0, len(whole), 50)]
    headers = [("Content-Type", "application/vnd.amazon.eventstream")]
    return Reply(headers=headers, pieces=[*pieces, *end], framing="chunked")


_AWS_USAGE = {"inputTokens": INPUT_TOKENS, "outputTokens": OUTPUT_TOKENS,
              "totalTokens": INPUT_TOKENS + OUTPUT_TOKENS}  # fmt: skip


def _bedrock(text: str, arguments: Arguments) -> Any:
    call = {"toolUse": {"toolUseId": CALL_ID, "name": FUNCTION, "input": arguments}}
    content = [*[{"text": text}] * bool(text), *[call] * bool(arguments)]
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "tool_use" if arguments else "end_turn",
        "usage": _AWS_USAGE, "metrics": {"latencyMs": 1},
    }  # fmt: skip


def bedrock_block(index: int, deltas: Sequence[Any], start: Any = None) -> list[bytes]:
    """The frames of one block of a message's content."""
    frames = [aws_event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})
              for delta in deltas]  # fmt: skip
    if start is not None:
        begun = {"contentBlockIndex": index, "start": start}
        frames.insert(0, aws_event("contentBlockStart", begun))
    return [*frames, aws_event("contentBlockStop", {"contentBlockIndex": index})]


def _bedrock_stream(text: Sequence[str], arguments: Sequence[str]) -> Reply:
    call = {"toolUse": {"toolUseId": CALL_ID, "name": FUNCTION}}
    said = bedrock_block(0, [{"text": t} for t in text]) if text else []
    inputs = [{"toolUse": {"input": a}} for a in arguments]
    return aws_stream(
        aws_event("messageStart", {"role": "assistant"}),
        *said,
        *(bedrock_block(bool(text), inputs, call) if arguments else []),
        aws_event("messageStop", {"stopReason": "tool_use" if arguments else "end_turn"}),
        aws_event("metadata", {"usage": _AWS_USAGE, "metrics": {"latencyMs": 1}}),
    )


_COHERE_USAGE = {kind: {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}
                 for kind in ("billed_units", "tokens")}  # fmt: skip


def _cohere(text: str, arguments: Arguments) -> Any:
    call = {"id": CALL_ID, "type": "function",
            "function": {"name": FUNCTION, "arguments": json.dumps(arguments)}}  # fmt: skip
    message: dict[str, Any] = {"role": "assistant"}
    if text:
        message["content"] = [{"type": "text", "text": text}]
    if arguments:
        message["tool_calls"] = [call]
    end = "TOOL_CALL" if arguments else "COMPLETE"
    return {"id": "c1", "finish_reason": end, "message": message, "usage": _COHERE_USAGE}


def _cohere_stream(text: Sequence[str], arguments: Sequence[str]) -> Reply:
    call = {"id": CALL_ID, "type": "function", "function": {"name": FUNCTION, "arguments": ""}}

    def event(kind: str, message: Any = None, **more: Any) -> Any:
        return {"type": kind, **more, **({"delta": {"message": message}} if message else {})}

    begun = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
    said = [
        event("content-start", {"content": {"type": "text", "text": ""}}, index=0),
        *(event("content-delta", {"content": {"text": t}}, index=0) for t in text),
        event("content-end", index=0),
    ]
    called = [
        event("tool-call-start", {"tool_calls": call}, index=0),
        *(event("tool-call-delta", {"tool_calls": {"function": {"arguments": a}}}, index=0)
          for a in arguments),
        event("tool-call-end", index=0),
    ]  # fmt: skip
    end = {"finish_reason": "TOOL_CALL" if arguments else "COMPLETE", "usage": _COHERE_USAGE}
    return _sse([
        event("message-start", begun, id="c1"),
        *(said if text else []),
        *(called if arguments else []),
        {"type": "message-end", "delta": end},
    ])  # fmt: skip


_AWS = {
    "aws_region_name": "us-east-1", "aws_access_key_id": "AKIAFAKE",
    "aws_secret_access_key": "fake", "aws_bedrock_runtime_endpoint": "ROOT",
}  # fmt: skip

WIRES = {
    wire.provider: wire
    for wire in (
        Wire(provider="anthropic", model="claude-x", whole=_anthropic, streamed=_anthropic_stream),
        Wire(
            provider="gemini",
            model="gemini-2.5-flash",
            whole=_gemini,
            streamed=_gemini_stream,
        ),
        Wire(
            provider="bedrock",
            model="amazon.nova-lite-v1:0",
            whole=_bedrock,
            streamed=_bedrock_stream,
            params=_AWS,
        ),
        Wire(
            provider="cohere",
            model="command-r-plus",
            whole=_cohere,
            streamed=_cohere_stream,
            path="/v2/chat",
        ),
    )
}
