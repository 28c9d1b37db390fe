"""An upstream that answers by what it is asked, for programs that others wrote.

The question says what should happen and carries a mark by which the test finds its own requests:
`(case fail-500-once/m1)`. Tools that are offered are called once, with arguments that fit their
schema; a JSON schema that is asked for is filled in; everything else is answered with one sentence.
`GET /v1/seen/MARK` tells what came.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "proxy"))

from fake_upstream import DONE, Cut, FakeUpstream, Piece, Reply, Seen, answer, events

SENTENCE = "The Forth Bridge was designed by Fowler and Baker."
CASE = re.compile(r"\(case ([a-z0-9-]+)/([A-Za-z0-9_-]+)\)")
USAGE = {"prompt_tokens": 210, "completion_tokens": 12, "total_tokens": 222}
RESPONSE_USAGE = {
    "input_tokens": 210, "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 12, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 222,
}  # fmt: skip
HEADERS = [("x-request-id", "req_of_the_upstream"), ("openai-processing-ms", "7")]
LONG = 400
"""Words of an answer that nobody waits for."""


class Answering:
    """What an upstream says to a request: `FakeUpstream.reply(Answering(upstream))`."""

    def __init__(self, upstream: FakeUpstream) -> None:
        self.upstream = upstream
        self.tries: Counter[str] = Counter()

    def __call__(self, seen: Seen) -> Reply:
        path = seen.target.partition("?")[0]
        if path.startswith("/v1/seen/"):
            return self.told(path.removeprefix("/v1/seen/"))
        if path == "/v1/models":
            return said({"object": "list", "data": [model("gpt-4o-mini")]})
        given = seen.header("x-test-answer")
        if given is not None:
            # What the test made of the document's own schema of this answer.
            return answer(base64.b64decode(given), headers=HEADERS)
        case, mark = (CASE.findall(seen.body.decode()) or [("say", "")])[-1]
        self.tries[mark] += 1
        failed = failure(case, self.tries[mark])
        if failed is not None:
            return failed
        wanted = seen.json
        if path == "/v1/embeddings":
            return embeddings(wanted)
        if path == "/v1/completions":
            return completion(wanted)
        if path == "/v1/responses":
            return response(wanted, case)
        if path == "/v1/messages/count_tokens":
            return said({"input_tokens": len(seen.body)})
        if path == "/v1/messages":
            return message(wanted, case)
        return chat(wanted, case)

    def told(self, mark: str) -> Reply:
        def ours(seen: Seen) -> bool:
            return seen.header("x-test-mark") == mark or f"/{mark})".encode() in seen.body

        found = [seen for seen in self.upstream.seen if ours(seen)]
        return said(
            {
                "requests": [
                    {"target": s.target, "headers": dict(s.headers), "body": _json(s)}
                    for s in found
                ],
                "left": sum(ours(seen) for seen in self.upstream.unfinished),
            }
        )


def _json(seen: Seen) -> Any:
    try:
        return seen.json
    except ValueError:
        return None


def failure(case: str, times: int) -> Reply | None:
    if not case.startswith("fail-") or (case.endswith("-once") and times > 1):
        return None
    status = int(case.split("-")[1])
    told = {
        "message": f"the upstream says {status}",
        "type": "upstream",
        "param": None,
        "code": None,
    }
    headers = [*HEADERS, ("retry-after-ms", "20")]
    return answer(json.dumps({"error": told}).encode(), status=status, headers=headers)


def said(body: Any) -> Reply:
    return answer(json.dumps(body, ensure_ascii=False).encode(), headers=HEADERS)


def model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1, "owned_by": "somebody"}


def example(schema: dict[str, Any], root: dict[str, Any] | None = None) -> Any:
    """A value that fits a JSON schema."""
    root = root or schema
    if "$ref" in schema:
        return example(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    for either in ("anyOf", "oneOf", "allOf"):
        if either in schema:
            return example(schema[either][0], root)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "object")
    if kind == "object":
        return {name: example(s, root) for name, s in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema["items"], root)]
    return {"string": "Fowler", "integer": 7, "number": 1.5, "boolean": True}.get(kind)


def asked_schema(wanted: dict[str, Any]) -> dict[str, Any] | None:
    form = wanted.get("response_format") or (wanted.get("text") or {}).get("format") or {}
    if form.get("type") == "json_object":
        return {"type": "object", "properties": {"name": {"type": "string"}}}
    if form.get("type") != "json_schema":
        return None
    return form["json_schema"]["schema"] if "json_schema" in form else form["schema"]


def sentence(wanted: dict[str, Any], case: str) -> str:
    if case == "long":
        return " ".join(f"word{n}" for n in range(LONG))
    schema = asked_schema(wanted)
    return SENTENCE if schema is None else json.dumps(example(schema))


def tool_to_call(wanted: dict[str, Any]) -> dict[str, Any] | None:
    """The tool to call; None if there is none or it was called already."""
    history = wanted.get("messages") or wanted.get("input") or []
    results = ("tool", "function_call_output")
    if isinstance(history, list) and any(
        m.get("role") in results or m.get("type") in results for m in history
    ):
        return None
    tools = [t for t in wanted.get("tools") or [] if t.get("type") == "function"]
    return tools[0] if tools and wanted.get("tool_choice") != "none" else None


# Chat completions


def chat(wanted: dict[str, Any], case: str) -> Reply:
    tool = tool_to_call(wanted)
    text = sentence(wanted, case)
    call = None
    if tool is not None:
        arguments = json.dumps(example(tool["function"].get("parameters") or {}))
        call = {"name": tool["function"]["name"], "arguments": arguments}
    if wanted.get("stream"):
        return chat_stream(wanted, case, text, call)
    message: dict[str, Any] = {"role": "assistant", "content": None if call else text}
    message["refusal"] = None
    if call:
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
    body = {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": wanted["model"],
        "choices": [
            {"index": 0, "message": message, "logprobs": None,
             "finish_reason": "tool_calls" if call else "stop"}
        ],
        "usage": USAGE, "service_tier": "default", "a_field_of_tomorrow": {"kept": 1.0},
    }  # fmt: skip
    return said(body)


def chat_stream(wanted: dict[str, Any], case: str, text: str, call: Any) -> Reply:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None if call else ""}]
    if call:
        head = {"index": 0, "id": "call_1", "type": "function"}
        deltas.append({"tool_calls": [{**head, "function": {**call, "arguments": ""}}]})
        for n in range(0, len(call["arguments"]), 5):
            piece = call["arguments"][n : n + 5]
            deltas.append({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    else:
        deltas += [{"content": word} for word in re.findall(r"\s*\S+", text)]
    out: list[Piece] = []
    for delta in deltas:
        out.append(chunk(wanted, [{"index": 0, "delta": delta, "finish_reason": None}]))
        if case == "long":
            out.append(0.05)
    if case == "break":
        return events(*out[: len(out) // 2], 0.05, Cut)
    last = "tool_calls" if call else "stop"
    out.append(chunk(wanted, [{"index": 0, "delta": {}, "finish_reason": last}]))
    if (wanted.get("stream_options") or {}).get("include_usage"):
        out.append(chunk(wanted, [], USAGE))
    reply = events(*out, DONE)
    return Reply(headers=[*reply.headers, *HEADERS], pieces=reply.pieces, framing=reply.framing)


def chunk(wanted: dict[str, Any], choices: list[Any], usage: Any = None) -> bytes:
    body = {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
        "model": wanted["model"], "choices": choices,
    }  # fmt: skip
    if usage is not None:
        body["usage"] = usage
    return b"data: " + json.dumps(body).encode() + b"\n\n"


# Completions and embeddings


def completion(wanted: dict[str, Any]) -> Reply:
    choice = {"index": 0, "text": SENTENCE, "logprobs": None, "finish_reason": "stop"}
    body = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": wanted["model"]}
    if wanted.get("stream"):
        return events(
            b"data: " + json.dumps({**body, "choices": [choice]}).encode() + b"\n\n", DONE
        )
    return said({**body, "choices": [choice], "usage": USAGE})


def embeddings(wanted: dict[str, Any]) -> Reply:
    texts = wanted["input"] if isinstance(wanted["input"], list) else [wanted["input"]]
    vector: Any = [0.5, -0.25]
    if wanted.get("encoding_format") == "base64":
        vector = "AAAAPwAAgL4="
    data = [{"object": "embedding", "index": n, "embedding": vector} for n, _ in enumerate(texts)]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    return said({"object": "list", "data": data, "model": wanted["model"], "usage": usage})


# Responses


def response(wanted: dict[str, Any], case: str) -> Reply:
    tool = tool_to_call(wanted)
    if tool is not None:
        item: dict[str, Any] = {
            "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": tool["name"],
            "arguments": json.dumps(example(tool.get("parameters") or {})), "status": "completed",
        }  # fmt: skip
    else:
        part = {"type": "output_text", "text": sentence(wanted, case), "annotations": []}
        item = {
            "type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
            "content": [part],
        }  # fmt: skip
    whole = {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
        "error": None, "incomplete_details": None, "instructions": wanted.get("instructions"),
        "model": wanted["model"], "output": [item], "parallel_tool_calls": True,
        "temperature": 1.0, "top_p": 1.0, "tool_choice": "auto", "tools": wanted.get("tools") or [],
        "metadata": {}, "usage": RESPONSE_USAGE,
    }  # fmt: skip
    return response_stream(whole, item, case) if wanted.get("stream") else said(whole)


def response_stream(whole: dict[str, Any], item: dict[str, Any], case: str) -> Reply:
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    told: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    at = {"output_index": 0, "item_id": item["id"]}
    if item["type"] == "message":
        text = item["content"][0]["text"]
        part = {**at, "content_index": 0}
        empty = {**item, "content": [], "status": "in_progress"}
        told.append({"type": "response.output_item.added", "output_index": 0, "item": empty})
        told.append(
            {
                "type": "response.content_part.added",
                **part,
                "part": {**item["content"][0], "text": ""},
            }
        )
        for word in re.findall(r"\s*\S+", text):
            told.append(
                {"type": "response.output_text.delta", **part, "delta": word, "logprobs": []}
            )
        told.append({"type": "response.output_text.done", **part, "text": text, "logprobs": []})
        told.append({"type": "response.content_part.done", **part, "part": item["content"][0]})
    else:
        empty = {**item, "arguments": "", "status": "in_progress"}
        told.append({"type": "response.output_item.added", "output_index": 0, "item": empty})
        for n in range(0, len(item["arguments"]), 5):
            piece = item["arguments"][n : n + 5]
            told.append({"type": "response.function_call_arguments.delta", **at, "delta": piece})
        done = {**at, "arguments": item["arguments"], "name": item["name"]}
        told.append({"type": "response.function_call_arguments.done", **done})
    told.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    told.append({"type": "response.completed", "response": whole})
    out: list[Piece] = []
    for number, each in enumerate(told):
        data = json.dumps({**each, "sequence_number": number})
        out.append(f"event: {each['type']}\ndata: {data}\n\n".encode())
        if case == "long":
            out.append(0.05)
    return events(*out)


# Messages


def message(wanted: dict[str, Any], case: str) -> Reply:
    tools = [tool for tool in wanted.get("tools") or [] if "input_schema" in tool]
    block: dict[str, Any] = {"type": "text", "text": sentence({}, case)}
    if tools and "tool_result" not in json.dumps(wanted["messages"]):
        given = example(tools[0]["input_schema"])
        block = {"type": "tool_use", "id": "toolu_1", "name": tools[0]["name"], "input": given}
    whole = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": wanted["model"],
        "content": [block], "stop_sequence": None,
        "stop_reason": "tool_use" if block["type"] == "tool_use" else "end_turn",
        "usage": {"input_tokens": 210, "output_tokens": 12}, "a_field_of_tomorrow": {"kept": 1.0},
    }  # fmt: skip
    return message_stream(whole, block, case) if wanted.get("stream") else said(whole)


def message_stream(whole: dict[str, Any], block: dict[str, Any], case: str) -> Reply:
    if block["type"] == "text":
        empty = {**block, "text": ""}
        words = re.findall(r"\s*\S+", block["text"])
        deltas = [{"type": "text_delta", "text": word} for word in words]
    else:
        empty, given = {**block, "input": {}}, json.dumps(block["input"])
        pieces = [given[n : n + 5] for n in range(0, len(given), 5)]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    begun = {**whole, "content": [], "stop_reason": None}
    told: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None},
            "usage": {"output_tokens": 12},
        },
        {"type": "message_stop"},
    ]
    out: list[Piece] = []
    for each in told:
        out.append(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode())
        if case == "long":
            out.append(0.05)
    return events(*out[: len(out) // 2], 0.05, Cut) if case == "break" else events(*out)
