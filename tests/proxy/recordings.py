"""Interactions with OpenAI-style servers: small ones made here, and a file of real ones if there
is one (UNABRIDGED_DATA names the folder, or shared/data beside the checkout)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SURFACES = ("/chat/completions", "/responses", "/completions", "/embeddings")


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
        _chat("error", {}, json.dumps(error).encode(), JSON, 400),
        _chat("no JSON", {}, b"<html>Bad gateway</html>", [("content-type", "text/html")], 502),
        Recording(name="embeddings", method="POST", path="/embeddings", status=200, headers=JSON,
                  body=b'{"model":"m","input":["a"]}', answer=b'{"object": "list", "data": []}'),
        Recording(name="file", method="DELETE", path="/files/f-1", status=200, headers=JSON,
                  body=b"", answer=b'{"id": "f-1", "deleted": true}'),
    ]  # fmt: skip
