"""A streamed answer: bytes in, bytes out, in order, with the text restored."""

# ruff: noqa: E501  (patterns and samples read better unbroken)
from __future__ import annotations

import json
from typing import Any

from cut_prompts import COMPRESSED, ORIGINAL, cut_up, delta, event, replies, stop
from hypothesis import given, settings
from hypothesis import strategies as st

from unabridged.recovery.index import Index
from unabridged.recovery.json_text import ContentRestorer
from unabridged.recovery.stream import StreamRestorer

INDEX = Index.of_texts(ORIGINAL, COMPRESSED)
DONE = b"data: [DONE]\n\n"


def run(stream: bytes, size: int = 10**9) -> bytes:
    restorer = StreamRestorer(INDEX)
    out = b"".join(restorer.feed(stream[i : i + size]) for i in range(0, len(stream), size))
    return out + restorer.flush()


def events(stream: bytes) -> list[dict[str, Any]]:
    lines = stream.decode().replace("\r\n", "\n").split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def texts(stream: bytes) -> dict[int, str]:
    found: dict[int, str] = {}
    for one in events(stream):
        for choice in one["choices"]:
            piece = choice["delta"].get("content") or ""
            found[choice["index"]] = found.get(choice["index"], "") + piece
    return found


def whole(text: str) -> str:
    restorer = ContentRestorer(INDEX)
    return restorer.feed(text) + restorer.flush()


@given(st.data(), replies, st.integers(1, 60), st.sampled_from(["\n\n", "\r\n\r\n"]))
@settings(max_examples=150)
def test_a_stream_says_what_the_whole_answer_would(
    data: st.DataObject, reply: str, size: int, end: str
) -> None:
    reply = reply.encode(errors="replace").decode()
    pieces = data.draw(cut_up(reply))
    stream = b"".join(event(delta(p), end=end) for p in pieces) + event(stop(), end=end) + DONE
    out = run(stream, size)
    assert texts(out)[0] == whole(reply)
    assert events(out)[-1]["choices"][0]["finish_reason"] == "stop"
    assert out.endswith(DONE)


@given(st.data(), replies, replies)
@settings(max_examples=60)
def test_choices_that_come_by_turns_do_not_mix(data: st.DataObject, one: str, two: str) -> None:
    one, two = (text.encode(errors="replace").decode() for text in (one, two))
    queues = [data.draw(cut_up(one)), data.draw(cut_up(two))]
    stream = b""
    while any(queues):
        n = data.draw(st.sampled_from([n for n in (0, 1) if queues[n]]))
        stream += event(delta(queues[n].pop(0), n))
    out = run(stream + event(stop(0)) + event(stop(1)) + DONE)
    assert texts(out) == {0: whole(one), 1: whole(two)}


def test_events_that_need_nothing_pass_byte_for_byte() -> None:
    stream = (
        b": hello\n\nretry: 5\n\n"
        + event({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None})
        + b'data:  {"choices" : [{"index":0, "delta":{"content":"caf\\u00e9 "}, "x": 1.50}]}\r\n\r\n'
        + event(delta("says no."), obfuscation="abc")
        + b"data: not json\n\nevent: ping\ndata: {}\n\n"
        + event(stop())
        + event(usage={"total_tokens": 3})
        + DONE
    )
    for size in (1, 5, 10**9):
        assert run(stream, size) == stream


def test_held_text_leaves_before_the_end_the_usage_and_done() -> None:
    out = run(
        event(delta("By Wilhelm"))
        + event(delta(" Röntg"))
        + event(stop())
        + event(usage={"t": 1})
        + DONE
    )
    found = events(out)
    assert [
        e["choices"][0]["delta"].get("content") if e["choices"] else "usage" for e in found
    ] == [
        "By ",
        "Wilhelm Röntgen",
        None,
        "usage",
    ]
    assert {e["id"] for e in found} == {"c1"}
    assert out.endswith(DONE)


def test_a_stream_cut_off_in_the_middle_gives_back_what_is_held() -> None:
    restorer = StreamRestorer(INDEX)
    out = restorer.feed(event(delta("By Wilhelm")) + b'data: {"choi')
    out += restorer.flush()
    assert out.endswith(b'data: {"choi')
    assert texts(out.removesuffix(b'data: {"choi'))[0] == "By Wilhelm"


def test_words_that_come_with_a_call_keep_their_order() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    both = {"content": "He is Wilhelm Röntg", "tool_calls": [call]}
    out = run(
        event(delta("See the Treaty "))
        + event({"index": 0, "delta": both, "finish_reason": None})
        + event(stop(reason="tool_calls"))
    )
    assert texts(out)[0] == "See the Treaty He is Wilhelm Röntgen"


def test_nothing_is_lost_or_said_twice_at_a_chunk_of_another_shape() -> None:
    odd = {"index": 0, "delta": {"content": " Röntg, so", "tool_calls": [None]}}
    out = run(event(delta("Wilhelm")) + event(odd) + event(delta(" it is.")) + event(stop()))
    assert texts(out)[0] == "Wilhelm Röntg, so it is."


def test_a_reason_to_finish_that_is_empty_is_none() -> None:
    pieces = [{**delta(text), "finish_reason": ""} for text in ("Wilhelm", " Röntg, so")]
    out = run(b"".join(map(event, pieces)) + event(stop()))
    assert texts(out)[0] == "Wilhelm Röntgen, so"


def test_what_else_an_event_says_is_not_held_back_with_its_words() -> None:
    out = run(
        event({**delta("Wilhelm"), "token_ids": [1, 2]})
        + event(delta(" Röntg"), citations=["https://example.com"])
        + event({**delta(" said"), "content_filter_results": {}})
        + event(stop())
    )
    assert texts(out)[0] == "Wilhelm Röntgen said"
    assert events(out)[0]["choices"][0]["token_ids"] == [1, 2]
    assert ["https://example.com"] in [e.get("citations") for e in events(out)]


def test_half_a_character_that_is_held_back_is_written_as_an_escape() -> None:
    half = b'data: {"choices":[{"index":0,"delta":{"content":"R\\u00f6ntg \\ud83d"}}]}\n\n'
    other = half.replace(b"R\\u00f6ntg \\ud83d", b"\\ude00")
    assert texts(run(half + other))[0] == "Röntg \U0001f600"
    assert texts(run(half + event(delta(" said"))))[0] == "Röntg \ud83d said"
    assert texts(run(half))[0] == "Röntg \ud83d"


def test_tool_calls_that_come_by_turns_stay_json() -> None:
    def call(n: int, text: str, **more: Any) -> bytes:
        part = {"index": n, **more, "function": {"arguments": text}}
        return event({"index": 0, "delta": {"tool_calls": [part]}, "finish_reason": None})

    stream = (
        call(0, "", id="a", type="function")
        + call(0, '{"who": "Wilhelm R')
        + call(1, "", id="b", type="function")
        + call(1, '{"what": "the Treaty')
        + call(0, 'öntg", "n": 1}')
        + call(1, ' Gh"}')
        + event(stop(reason="tool_calls"))
        + DONE
    )
    out = run(stream, 7)
    arguments = {0: "", 1: ""}
    for one in events(out):
        for part in one["choices"][0]["delta"].get("tool_calls", ()):
            arguments[part["index"]] += part["function"]["arguments"]
    assert json.loads(arguments[0]) == {"who": "Wilhelm Röntgen", "n": 1}
    assert json.loads(arguments[1]) == {"what": "the Treaty of Ghent"}
    assert [
        p["id"]
        for e in events(out)
        for p in e["choices"][0]["delta"].get("tool_calls", ())
        if "id" in p
    ] == ["a", "b"]


def test_log_probabilities_leave_the_text_alone() -> None:
    scored = {**delta("Wilhelm Röntg"), "logprobs": {"content": []}}
    stream = event(scored) + event(stop()) + DONE
    restorer = StreamRestorer(INDEX)
    assert restorer.feed(stream) + restorer.flush() == stream
    assert "log probabilities" in restorer.untouched[0]


def test_the_edits_of_a_stream_are_counted() -> None:
    restorer = StreamRestorer(INDEX)
    restorer.feed(event(delta("By Wilhelm Röntg")) + event(stop()) + DONE)
    assert [(edit.path, edit.piece.now) for edit in restorer.edits] == [
        (("choices", 0, "message", "content"), "Wilhelm Röntgen")
    ]
