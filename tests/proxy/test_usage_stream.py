"""A stream is handed on byte for byte, but for what only we asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.body import read
from unabridged.proxy.usage import Used
from unabridged.proxy.usage_stream import UsageStream, ask_for_usage


def chunk(text: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [] if text is None else [{"index": 0, "delta": {"content": text}}]
    return {"id": "c1", "object": "chat.completion.chunk", "choices": choices, **more}


def sse(*chunks: dict[str, Any], end: str = "\n\n", space: str = " ") -> bytes:
    lines = [f"data:{space}{json.dumps(c, ensure_ascii=False)}{end}" for c in chunks]
    return ("".join(lines) + f"data: [DONE]{end}").encode()


USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
WITHOUT = sse(chunk("안녕"), chunk(" ok"))
WITH = sse(chunk("안녕", usage=None), chunk(" ok", usage=None), chunk(usage=USAGE))


def through(stream: UsageStream, data: bytes, size: int = 10**9) -> bytes:
    out = [stream.feed(data[n : n + size]) for n in range(0, len(data), size)]
    return b"".join([*out, stream.flush()])


def test_what_only_we_asked_for_is_taken_out_again() -> None:
    """The client sees the very bytes that it would have seen without us."""
    stream = UsageStream(ours=True)
    assert through(stream, WITH) == WITHOUT
    assert stream.used == Used(input=12, output=3)
    assert stream.complete


def test_what_the_client_asked_for_reaches_it_untouched() -> None:
    stream = UsageStream(ours=False)
    assert through(stream, WITH) == WITH
    assert stream.used == Used(input=12, output=3)


@given(st.integers(1, 400), st.sampled_from(["\n\n", "\r\n\r\n"]), st.sampled_from(["", " "]))
def test_how_it_is_chopped_changes_nothing(size: int, end: str, space: str) -> None:
    chunks = [chunk("한국어 \U0001f600", usage=None), chunk("b", usage=None), chunk(usage=USAGE)]
    data = b": keepalive" + end.encode() + sse(*chunks, end=end, space=space)
    whole, cut = UsageStream(ours=True), UsageStream(ours=True)
    assert through(cut, data, size) == through(whole, data)
    assert cut.used == whole.used == Used(input=12, output=3)
    assert cut.text == whole.text == "한국어 \U0001f600b"


@given(st.binary(max_size=300), st.booleans())
def test_what_is_no_stream_of_chunks_passes_as_it_is(data: bytes, ours: bool) -> None:
    stream = UsageStream(ours=ours)
    assert through(stream, data, 7) == data


def test_usage_beside_an_answer_is_left_where_it_is() -> None:
    """Some providers tell it with the last words, asked or not."""
    last = chunk("b", usage=USAGE)
    data = sse(chunk("a"), last)
    stream = UsageStream(ours=True)
    assert through(stream, data) == data
    assert stream.used == Used(input=12, output=3)


def test_the_last_of_several_usages_counts() -> None:
    first = {"prompt_tokens": 12, "completion_tokens": 1}
    stream = UsageStream(ours=False)
    through(stream, sse(chunk("a", usage=first), chunk("b", usage=USAGE)))
    assert stream.used == Used(input=12, output=3)


def test_a_last_event_without_its_empty_line_is_not_lost() -> None:
    stream = UsageStream(ours=True)
    data = WITH[: WITH.index(b"data: [DONE]")].rstrip(b"\n")
    assert through(stream, data) == WITHOUT[: WITHOUT.index(b"data: [DONE]")]
    assert stream.used == Used(input=12, output=3)


def test_a_stream_that_breaks_off_has_no_usage_but_its_text() -> None:
    """LiteLLM #14457, #13245, #17364: nothing was billed then."""
    stream = UsageStream(ours=True)
    through(stream, WITH[:60] + b"")
    assert stream.used is None
    assert not stream.complete
    stream = UsageStream(ours=True)
    first_event = WITH.index(b"\n\n") + 2
    through(stream, WITH[: first_event + 10])
    assert stream.text == "안녕"
    assert not stream.complete


def test_an_error_event_is_seen_and_passed_on() -> None:
    data = b'data: {"error": {"message": "boom"}}\n\n'
    stream = UsageStream(ours=True)
    assert through(stream, data) == data
    assert stream.failed


def test_words_reasoning_and_tool_calls_are_kept_to_be_counted() -> None:
    call = {"index": 0, "function": {"name": "f", "arguments": '{"a"'}}
    delta = {"content": "x", "reasoning_content": "y", "tool_calls": [call]}
    stream = UsageStream(ours=True)
    through(stream, sse({"choices": [{"delta": delta, "finish_reason": None}]}))
    assert stream.text == 'xyf{"a"'


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ('{"stream": true}', '{"stream": true,"stream_options":{"include_usage":true}}'),
        (
            '{"stream":true,"stream_options":null,"n":1}',
            '{"stream":true,"stream_options":{"include_usage":true},"n":1}',
        ),
        (
            '{"stream":true,"stream_options":{},"x":1.50}',
            '{"stream":true,"stream_options":{"include_usage":true},"x":1.50}',
        ),
        (
            '{"stream":true,"stream_options":{"include_usage":false}}',
            '{"stream":true,"stream_options":{"include_usage":true}}',
        ),
        (
            '{"stream":true,"stream_options":{"a":1e2,"include_usage":false,"b":"é"}}',
            '{"stream":true,"stream_options":{"include_usage":true,"a":1e2,"b":"é"}}',
        ),
        ('{"stream":true,"stream_options":{"include_usage":true}}', None),
        ('{"stream":false}', None),
        ('{"model":"x"}', None),
        ('{"stream":true,"stream_options":3}', None),
        ('{"stream":true,"a":1,"a":2}', None),
    ],
)
def test_usage_is_asked_for_without_touching_another_byte(body: str, wanted: str | None) -> None:
    assert ask_for_usage(read(body)) == wanted


def test_what_is_asked_is_json_that_asks(  # the last comma is a classic
) -> None:
    for options in ("{}", '{"a":1}', '{ "include_usage" : false }', "null"):
        asked = ask_for_usage(read(f'{{"stream":true,"stream_options":{options}}}'))
        assert asked is not None
        assert json.loads(asked)["stream_options"]["include_usage"] is True


def test_an_event_that_is_nested_too_deeply_to_be_read_passes() -> None:
    deep = b'data: {"a":' + b"[" * 5000 + b"]" * 5000 + b"}\n\n"
    stream = UsageStream(ours=True)
    assert through(stream, deep + WITH) == deep + WITHOUT
    assert stream.used == Used(input=12, output=3)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_usage_on_several_lines_of_data_is_read(end: str) -> None:
    lines = json.dumps(chunk(usage=USAGE), indent=1).split("\n")
    told = "".join(f"data: {line}{end}" for line in lines) + end
    first = json.dumps(chunk("hi", usage=None), indent=1).split("\n")
    said = "".join(f"data: {line}{end}" for line in first) + end
    for ours in (False, True):
        stream = UsageStream(ours=ours)
        assert through(stream, (said + told).encode()) == (said + ("" if ours else told)).encode()
        assert stream.used == Used(input=12, output=3)
        assert stream.text == "hi"
