"""Streams with typed events: pieces and repeated texts say the same, restored."""

# ruff: noqa: E501  (samples read better unbroken)
from __future__ import annotations

import json
from typing import Any

import pytest
from cut_prompts import COMPRESSED, ORIGINAL, cut_up, replies
from hypothesis import given, settings
from hypothesis import strategies as st

from unabridged.recovery.answer import restore_answer
from unabridged.recovery.index import Index
from unabridged.recovery.streams import stream_restorer

INDEX = Index.of_texts(ORIGINAL, COMPRESSED)
SHORT = "Wilhelm Röntg and the Treaty Gh"
LONG = "Wilhelm Röntgen and the Treaty of Ghent"


def sse(event: dict[str, Any], end: str = "\n") -> bytes:
    text = json.dumps(event, ensure_ascii=False)
    return f"event: {event['type']}{end}data: {text}{end}{end}".encode()


def item_of(text: str, **part: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], **part}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": content}


def response_events(pieces: list[str], arguments: tuple[str, ...] = (), **more: Any) -> list[dict[str, Any]]:  # fmt: skip
    """A streamed response with one message, and one call if there are arguments."""
    text, said = "".join(pieces), "".join(arguments)
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    call_at = {"item_id": "fc_1", "output_index": 1}
    call = {"type": "function_call", "id": "fc_1", "name": "f", "arguments": said}
    output = [item_of(text), call] if arguments else [item_of(text)]
    usage = {"input_tokens": 3, "output_tokens": 4}
    found = [
        {"type": "response.created", "response": {"id": "r", "output": [], **more}},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item_of(""), "content": []},
        },
        {"type": "response.content_part.added", **at, "part": item_of("")["content"][0]},
        *({"type": "response.output_text.delta", **at, "delta": p, "logprobs": []} for p in pieces),
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": item_of(text)["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": item_of(text)},
    ]
    if arguments:
        found += [
            *({"type": "response.function_call_arguments.delta", **call_at, "delta": p} for p in arguments),
            {"type": "response.function_call_arguments.done", **call_at, "arguments": said},
            {"type": "response.output_item.done", "output_index": 1, "item": call},
        ]  # fmt: skip
    found.append({"type": "response.completed", "response": {"id": "r", "output": output, "usage": usage, **more}})  # fmt: skip
    return [{**event, "sequence_number": n} for n, event in enumerate(found)]


def run(surface: str, stream: bytes, size: int = 10**9) -> list[dict[str, Any]]:
    restorer = stream_restorer(INDEX, surface)
    out = b"".join(restorer.feed(stream[i : i + size]) for i in range(0, len(stream), size))
    out += restorer.flush()
    lines = out.decode().replace("\r\n", "\n").split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def texts(events: list[dict[str, Any]]) -> set[str]:
    """What the stream says the text is, each time it says so."""
    deltas = [e["delta"] for e in events if e["type"] == "response.output_text.delta"]
    found = {"".join(deltas)}
    for event in events:
        if event["type"] == "response.output_text.done":
            found.add(event["text"])
        elif event["type"] == "response.content_part.done":
            found.add(event["part"]["text"])
        elif event["type"] == "response.output_item.done" and "content" in event["item"]:
            found.add(event["item"]["content"][0]["text"])
        elif event["type"] == "response.completed":
            found.add(event["response"]["output"][0]["content"][0]["text"])
    return found


def whole(text: str) -> str:
    answer = json.dumps({"output": [item_of(text)]}, ensure_ascii=False).encode()
    restored = json.loads(restore_answer(answer, INDEX, "responses").body)
    return str(restored["output"][0]["content"][0]["text"])


@given(st.data(), replies, st.integers(1, 80), st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=80)
def test_every_event_of_a_response_says_what_the_whole_answer_would(
    data: st.DataObject, reply: str, size: int, end: str
) -> None:
    reply = reply.encode(errors="replace").decode()
    pieces = data.draw(cut_up(reply))
    events = response_events(pieces)
    out = run("responses", b"".join(sse(e, end) for e in events), size)
    assert texts(out) == {whole(reply)}
    numbers = [e["sequence_number"] for e in out]
    assert numbers == sorted(numbers)
    assert out[-1]["response"]["usage"] == {"input_tokens": 3, "output_tokens": 4}


def test_what_is_held_back_leaves_before_the_text_ends() -> None:
    out = run("responses", b"".join(map(sse, response_events(["Wilhelm", " Rön", "tg"]))))
    kinds = [e["type"].removeprefix("response.") for e in out]
    assert texts(out) == {"Wilhelm Röntgen"}
    assert kinds.index("output_text.delta") < kinds.index("output_text.done")


def test_arguments_of_a_call_agree_wherever_they_stand() -> None:
    arguments = ('{"who": "Wilhelm', ' Röntg", "Wilhelm Röntg": 1', "}")
    out = run("responses", b"".join(map(sse, response_events([SHORT], arguments))))
    want = '{"who": "Wilhelm Röntgen", "Wilhelm Röntg": 1}'
    deltas = [e["delta"] for e in out if e["type"] == "response.function_call_arguments.delta"]
    done = next(e for e in out if e["type"] == "response.function_call_arguments.done")
    assert "".join(deltas) == done["arguments"] == want
    assert out[-1]["response"]["output"][1]["arguments"] == want
    assert texts(out) == {LONG}


@pytest.mark.parametrize("surface", ["responses", "messages"])
def test_events_that_need_nothing_pass_byte_for_byte(surface: str) -> None:
    stream = (
        b": keepalive\n\n"
        + b"".join(map(sse, response_events(["Nothing", " to do."])))
        + b'event: x\ndata:  {"type" : "content_block_delta", "index":0, "delta":{"type":"text_delta","text":"\\u0041"}, "x": 1.50}\r\n\r\n'
        + b"data: not json\n\ndata: [DONE]\n\ndata: cut off"
    )
    restorer = stream_restorer(INDEX, surface)
    assert restorer.feed(stream) + restorer.flush() == stream


def test_a_response_that_cites_or_scores_is_left_as_it_came() -> None:
    stream = b"".join(map(sse, response_events([SHORT], tools=[{"type": "web_search"}])))
    assert texts(run("responses", stream)) == {SHORT}
    scored = [{**e, "logprobs": [{"token": "x"}]} if "logprobs" in e else e for e in response_events([SHORT])]  # fmt: skip
    restorer = stream_restorer(INDEX, "responses")
    out = b"".join(restorer.feed(sse(e)) for e in scored[:5])
    assert out == b"".join(map(sse, scored[:5]))
    assert "log probabilities" in restorer.untouched[0]


def message_events(pieces: list[str], inputs: list[str], kind: str = "tool_use") -> list[Any]:
    block = {"type": kind, "id": "toolu_1", "name": "f", "input": {}}
    return [
        {"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 3}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": p}} for p in pieces),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": block},
        *({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": p}} for p in inputs),
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]  # fmt: skip


def blocks(events: list[dict[str, Any]]) -> list[str]:
    found = ["", ""]
    stopped: set[int] = set()
    for event in events:
        if event["type"] == "content_block_delta":
            assert event["index"] not in stopped, "a piece came behind the end of its block"
            delta = event["delta"]
            found[event["index"]] += delta.get("text", "") + delta.get("partial_json", "")
        elif event["type"] == "content_block_stop":
            stopped.add(event["index"])
    return found


@given(st.data(), replies, st.integers(1, 80))
@settings(max_examples=60)
def test_a_streamed_message_says_what_the_whole_one_would(
    data: st.DataObject, reply: str, size: int
) -> None:
    reply = reply.encode(errors="replace").decode()
    pieces = data.draw(cut_up(reply))
    value = json.dumps({"a": reply, "n": [1, reply]}, ensure_ascii=False)
    inputs = data.draw(cut_up(value))
    out = run("messages", b"".join(map(sse, message_events(pieces, inputs))), size)
    content = [{"type": "text", "text": reply}, {"type": "tool_use", "input": json.loads(value)}]
    answer = json.dumps({"content": content}, ensure_ascii=False).encode()
    want = json.loads(restore_answer(answer, INDEX, "messages").body)["content"]
    text, arguments = blocks(out)
    assert text == want[0]["text"]
    assert json.loads(arguments) == want[1]["input"]


def test_the_input_of_the_providers_own_tool_is_left() -> None:
    value = json.dumps({"query": SHORT}, ensure_ascii=False)
    out = run("messages", b"".join(map(sse, message_events([SHORT], [value], "server_tool_use"))))
    assert blocks(out) == [LONG, value]


def test_thinking_passes_as_it_is() -> None:
    thinking = {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": SHORT}}  # fmt: skip
    restorer = stream_restorer(INDEX, "messages")
    assert restorer.feed(sse(thinking)) == sse(thinking)


def test_a_stream_that_breaks_off_gives_what_was_held() -> None:
    events = response_events(["the Treaty", " Gh"])[:5]
    assert "".join(e["delta"] for e in run("responses", b"".join(map(sse, events))) if "delta" in e) == "the Treaty of Ghent"  # fmt: skip
