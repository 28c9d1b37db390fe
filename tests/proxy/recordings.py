"""Interactions with OpenAI-style servers: small ones made here, and a file of real ones if there
is one (UNABRIDGED_DATA names the folder, or shared/data beside the checkout)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SURFACES = ("/chat/completions", "/responses", "/completions", "/messages", "/embeddings")


@dataclass(frozen=True, kw_only=True)
class Recording:
    name: str
    method: str
    path: str
    """Behind /v1."""
    body: bytes
    status: int
    headers: list[tuple[str, str]]
    answer: bytes

    @property
    def request(self) -> Any:
        return json.loads(self.body)

    @property
    def readable(self) -> bool:
        """False: the recording itself is encoded."""
        return self.answer.startswith((b"{", b"data:", b"event:"))

    @property
    def streams(self) -> bool:
        return self.answer.startswith((b"data:", b"event:"))


def real_file() -> Path | None:
    beside = Path(__file__).parents[3] / "shared" / "data"
    place = Path(os.environ.get("UNABRIDGED_DATA") or beside) / "traffic" / "replay.jsonl"
    return place if place.is_file() else None


def real(path: Path) -> list[Recording]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        said = json.loads(line)
        request = said["request"]
        text = request if isinstance(request, str) else json.dumps(request, ensure_ascii=False)
        where = said["path"]
        surface = next((s for s in SURFACES if where.endswith(s)), "")
        headers = [(k, v) for k, v in said["headers"].items() if k != "transfer-encoding"]
        found.append(
            Recording(
                name=f"{number} {where} {said['status']}",
                method=said["method"].upper(),
                path=surface or where.removeprefix("/v1"),
                body=text.encode(),
                status=said["status"],
                headers=headers,
                answer=said["response"].encode(),
            )
        )
    return found


DOCUMENTS = (
    "Document [1](Title: Bridges) The Forth Bridge was designed by Fowler and Baker. It is red.\n"
    "Document [2](Title: Fish) Mackerel prices rose for the third month in a row. Cod fell.\n"
    "Document [3](Title: 발견) 뢴트겐은 1895년에 엑스선을 발견했다. 그는 독일 사람이다.\n\n"
    "Question: Who designed the Forth Bridge?"
)
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
JSON = [("content-type", "application/json"), ("x-request-id", "req_1")]
SSE = [("content-type", "text/event-stream; charset=utf-8"), ("openai-processing-ms", "12")]


def _chunks(*choices: dict[str, Any]) -> bytes:
    events = [json.dumps({**CHUNK, "choices": [c]}, ensure_ascii=False) for c in choices]
    return "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode()


def _answered(*messages: dict[str, Any], **more: Any) -> bytes:
    choices = [
        {"index": n, "message": {"role": "assistant", **m}, "finish_reason": "stop", **more}
        for n, m in enumerate(messages)
    ]
    body = {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices,
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }  # fmt: skip
    return json.dumps(body, ensure_ascii=False, indent=1).encode()


def _chat(
    name: str, request: dict[str, Any], answer: bytes, headers: Any = JSON, status: int = 200
) -> Recording:
    body = {"model": "m", "messages": [{"role": "user", "content": DOCUMENTS}], **request}
    return Recording(
        name=name, method="POST", path="/chat/completions", status=status, headers=headers,
        body=json.dumps(body, ensure_ascii=False).encode(), answer=answer,
    )  # fmt: skip


def _events(*events: dict[str, Any], numbered: bool = False) -> bytes:
    told = [{**e, "sequence_number": n} if numbered else e for n, e in enumerate(events)]
    return "".join(
        f"event: {e['type']}\ndata: {json.dumps(e, ensure_ascii=False)}\n\n" for e in told
    ).encode()


def _both(name: str, path: str, request: Any, whole: Any, stream: bytes) -> list[Recording]:
    """An answer that came whole, and one that was streamed."""
    plain = json.dumps(whole, ensure_ascii=False, indent=2).encode()
    return [
        Recording(
            name=name if answer is plain else f"stream of {name}", method="POST", path=path,
            status=200, headers=JSON if answer is plain else SSE, answer=answer,
            body=json.dumps({"model": "m", **request, **more}, ensure_ascii=False).encode(),
        )
        for answer, more in ((plain, {}), (stream, {"stream": True}))
    ]  # fmt: skip


def _completions() -> list[Recording]:
    head = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}

    def choice(text: str, end: str | None) -> Any:
        return {"index": 0, "text": text, "logprobs": None, "finish_reason": end}

    pieces = [choice("Fowler ", None), choice("and Ba", None), choice("ker.", "stop")]
    stream = [f"data: {json.dumps({**head, 'choices': [piece]})}\n\n" for piece in pieces]
    whole = {**head, "choices": [choice("Fowler and Baker.", "stop")]}
    sent = {"prompt": DOCUMENTS, "max_tokens": 9}
    joined = "".join([*stream, "data: [DONE]\n\n"]).encode()
    return _both("a completion", "/completions", sent, whole, joined)


def _responses() -> list[Recording]:
    text, arguments = ("Fowler ", "and ", "Baker, 발견."), ('{"who": "Ba', 'ker", "n": ', "1.0}")
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
    part = {"type": "output_text", "text": "".join(text), "annotations": []}
    said = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [part]}  # fmt: skip
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f",
            "arguments": "".join(arguments), "status": "completed"}  # fmt: skip
    summary = {"type": "summary_text", "text": "Two engineers."}
    thought = {"type": "reasoning", "id": "rs_1", "summary": [summary], "encrypted_content": "gA"}
    whole = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
             "model": "m", "output": [thought, said, call], "tools": [tool]}  # fmt: skip
    begun = {**whole, "status": "in_progress", "output": []}
    where = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    called = {"item_id": "fc_1", "output_index": 2}
    empty = {**said, "status": "in_progress", "content": []}
    unsaid = {**call, "status": "in_progress", "arguments": ""}
    stream = _events(
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": thought},
        {"type": "response.output_item.done", "output_index": 0, "item": thought},
        {"type": "response.output_item.added", "output_index": 1, "item": empty},
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **where, "delta": t, "logprobs": []}
          for t in text),
        {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": 1, "item": said},
        {"type": "response.output_item.added", "output_index": 2, "item": unsaid},
        *({"type": "response.function_call_arguments.delta", **called, "delta": a}
          for a in arguments),
        {"type": "response.function_call_arguments.done", **called, "name": "f",
         "arguments": call["arguments"]},
        {"type": "response.output_item.done", "output_index": 2, "item": call},
        {"type": "response.completed", "response": whole},
        numbered=True,
    )  # fmt: skip
    sent = {"input": DOCUMENTS, "tools": [tool], "instructions": "Be brief."}
    return _both("a response", "/responses", sent, whole, stream)


def _messages() -> list[Recording]:
    tool = {"name": "f", "input_schema": {"type": "object"}}
    thought = {"type": "thinking", "thinking": "Two engineers.", "signature": "EqQB"}
    call = {"type": "tool_use", "id": "toolu_1", "name": "f",
            "input": {"who": ["Baker"], "n": 1.0}}  # fmt: skip
    whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
             "content": [thought, {"type": "text", "text": "Fowler and Baker."}, call],
             "stop_reason": "tool_use",
             "usage": {"input_tokens": 9, "output_tokens": 4}}  # fmt: skip

    def block(index: int, start: Any, *deltas: Any) -> list[Any]:
        return [
            {"type": "content_block_start", "index": index, "content_block": start},
            *({"type": "content_block_delta", "index": index, "delta": d} for d in deltas),
            {"type": "content_block_stop", "index": index},
        ]

    stream = _events(
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
        *block(0, {**thought, "thinking": "", "signature": ""},
               {"type": "thinking_delta", "thinking": "Two engineers."},
               {"type": "signature_delta", "signature": "EqQB"}),
        *block(1, {"type": "text", "text": ""},
               *({"type": "text_delta", "text": t} for t in ("Fowler ", "and ", "Baker."))),
        *block(2, {**call, "input": {}},
               *({"type": "input_json_delta", "partial_json": j}
                 for j in ("", '{"who": ["Ba', 'ker"], ', '"n": 1.0}'))),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"},
         "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    )  # fmt: skip
    asked = {"messages": [{"role": "user", "content": DOCUMENTS}], "tools": [tool]}
    return _both("a message", "/messages", {**asked, "max_tokens": 9}, whole, stream)


def own() -> list[Recording]:
    """One of each kind."""
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a":1.0}'}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    parts = [{"type": "text", "text": DOCUMENTS}, image]
    logprobs = {"content": [{"token": "발", "logprob": -0.5, "bytes": [1], "top_logprobs": []}]}
    error = {"error": {"message": "no", "type": "invalid_request_error", "param": None,
                       "code": "x"}}  # fmt: skip
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
    deltas = [{"index": 0, "delta": {"content": t}} for t in ("Fowler ", "and ", "Baker, 발견.")]
    calls = [
        {"index": 0, "delta": {"tool_calls": [{"index": n, **call}]}, "finish_reason": None}
        for n in range(2)
    ]
    return [
        _chat("plain", {"verbosity": "low"}, _answered({"content": "Fowler and Baker."})),
        _chat("two choices", {"n": 2}, _answered({"content": "a"}, {"content": "b"})),
        _chat("refusal", {}, _answered({"content": None, "refusal": "I cannot."})),
        _chat("tool calls", {"tools": [tool]}, _answered({"content": None, "tool_calls": [call]})),
        _chat("schema", {"response_format": schema}, _answered({"content": '{"who": "Baker"}'})),
        _chat("logprobs", {"logprobs": True}, _answered({"content": "발"}, logprobs=logprobs)),
        _chat("image", {"messages": [{"role": "user", "content": parts}]},
              _answered({"content": "A bridge."})),
        _chat("stream", {"stream": True}, _chunks(*deltas), SSE),
        _chat("stream of calls", {"stream": True, "tools": [tool]}, _chunks(*calls), SSE),
        _chat("stream of two choices", {"stream": True, "n": 2}, _chunks(
            *({"index": n, "delta": {"content": t}} for t in ("Bak", "er, ", "he") for n in (1, 0)),
            *({"index": n, "delta": {}, "finish_reason": "stop"} for n in range(2))), SSE),
        _chat("stream of JSON", {"stream": True, "response_format": schema}, _chunks(
            *({"index": 0, "delta": {"content": t}} for t in ('{"who": "Ba', 'ker ', '"}'))), SSE),
        _chat("stream of arguments", {"stream": True, "tools": [tool]}, _chunks(
            *({"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": t}}]}}
              for t in ('{"who": "Ba', "ker", '", "n": 1.0}'))), SSE),
        _chat("stream with logprobs", {"stream": True, "logprobs": True},
              _chunks(*({**delta, "logprobs": logprobs} for delta in deltas)), SSE),
        _chat("an older call", {"functions": [tool["function"]]}, _answered(
            {"content": None, "function_call": {"name": "f", "arguments": '{"a":"b"}'}})),
        *_completions(),
        *_responses(),
        *_messages(),
        _chat("error", {}, json.dumps(error).encode(), JSON, 400),
        _chat("no JSON", {}, b"<html>Bad gateway</html>", [("content-type", "text/html")], 502),
        Recording(name="embeddings", method="POST", path="/embeddings", status=200, headers=JSON,
                  body=b'{"model":"m","input":["a"]}', answer=b'{"object": "list", "data": []}'),
        Recording(name="file", method="DELETE", path="/files/f-1", status=200, headers=JSON,
                  body=b"", answer=b'{"id": "f-1", "deleted": true}'),
    ]  # fmt: skip
