"""Segments without their text, answers put together from their pieces, edits in their places."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from receipt_world import TEXT, seen

from unabridged.proxy.detail import (
    MOST_ANSWER,
    Detail,
    Heard,
    answers,
    edit_rows,
    heard,
    kept_segments,
    segment_rows,
    texts_of,
)
from unabridged.proxy.relay import Untouched
from unabridged.recovery.answer import Edit, restore_answer
from unabridged.recovery.index import Index
from unabridged.recovery.streams import stream_restorer
from unabridged.recovery.text_stream import Piece

PATH = ("choices", 0, "message", "content")
JSON = [(b"content-type", b"application/json")]


def edit(start: int, end: int, was: str, now: str) -> Edit:
    piece = Piece(start=start, end=end, was=was, now=now, source=(2, (5, 9)), why="cut short")
    return Edit(path=PATH, piece=piece, splice=(start, end, now))


def test_rows_say_what_was_asked_and_got_and_no_word_of_the_text() -> None:
    rows = segment_rows(seen())
    assert sum(row["tokens"] for row in rows) > sum(row["got"] for row in rows)
    assert all(row["reason"] for row in rows)
    assert "harbour" not in json.dumps(rows)


def test_kept_segments_tile_the_prompt() -> None:
    assert "".join(row["text"] for row in kept_segments(seen().compressed)) == TEXT


def test_edits_are_placed_in_the_restored_text() -> None:
    found = Heard("application/json")
    found.feed(b'{"choices": [{"message": {"content": "The Forth and the Tay."}}]}')
    edits = [edit(0, 9, "The Forth", "The Forth Bridge"), edit(18, 21, "Tay", "Tay Bridge")]
    (answer,) = answers(found, edits)
    assert answer["restored"] == "The Forth Bridge and the Tay Bridge."
    assert [answer["restored"][e["start"] : e["end"]] for e in answer["edits"]] == [
        "The Forth Bridge",
        "Tay Bridge",
    ]
    assert edit_rows(edits)[0]["source"] == {"segment": 2, "start": 5, "end": 9}


CONTENT = "choices[0].message.content"
STREAM = b"".join(
    b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"
    for delta in ({"role": "assistant"}, {"content": "two "}, {"content": "words"})
)


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (STREAM + b"data: [DONE]\n\n", "text/event-stream", {CONTENT: "two words"}),
        (STREAM[:-30], "text/event-stream", {CONTENT: "two "}),
        (
            b'{"choices": [{"message": {"content": null, "tool_calls": '
            b'[{"function": {"arguments": "{}"}}]}}]}',
            "application/json",
            {"choices[0].message.tool_calls[0].function.arguments": "{}"},
        ),
        (b"not json", "application/json", {}),
        (b"[1]", "application/json", {}),
        (b'{"choices": [null, 3]}', "application/json", {}),
    ],
)  # fmt: skip
def test_texts_of_an_answer(body: bytes, kind: str, expected: dict[str, str]) -> None:
    assert texts_of(body, kind) == expected


CUT = Index.of_texts("Signed by Wilhelm Konrad Röntgen in Lennep.", "Signed by Wilhelm Röntg")
SAID, ARGUMENTS = 'by "Wilhelm Röntg"', '{"by": "Wilhelm R\\u00f6ntg"}'
CALL = {"name": "sign", "arguments": ARGUMENTS}
WHOLE: dict[str, dict[str, Any]] = {
    "chat": {"choices": [{"message": {"content": SAID, "tool_calls": [{"function": CALL}]}}]},
    "completions": {"choices": [{"index": 0, "text": SAID}]},
    "responses": {
        "output": [
            {"type": "message", "content": [{"type": "output_text", "text": SAID}]},
            {"type": "function_call", **CALL},
        ]
    },
    "messages": {
        "content": [
            {"type": "text", "text": SAID},
            {"type": "tool_use", "input": json.loads(ARGUMENTS)},
        ]
    },
}
STREAMED: dict[str, list[dict[str, Any]]] = {
    "chat": [
        {"choices": [{"index": 0, "delta": {"content": SAID}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": CALL}]}}]},
    ],
    "completions": [WHOLE["completions"]],
    "responses": [
        {"type": "response.created", "response": {}},
        {"type": "response.output_text.delta", "output_index": 0, "delta": SAID[:13]},
        {"type": "response.output_text.delta", "output_index": 0, "delta": SAID[13:]},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": ARGUMENTS},
        {"type": "response.completed", "response": WHOLE["responses"]},
    ],
    "messages": [
        {"type": "message_start", "message": {"content": []}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": SAID}},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": ARGUMENTS},
        },
    ],
}


def came_and_restored(found: Heard, edits: Sequence[Edit]) -> list[tuple[str, str]]:
    told = answers(found, edits)
    for one in told:
        for row in one["edits"]:
            place = slice(row["start"], row["end"])
            assert (
                json.loads(f'"{one["restored"][place]}"') == row["now"] == "Wilhelm Konrad Röntgen"
            )
        assert len(one["edits"]) == 1
    return [(one["came"], one["restored"]) for one in told]


def long(text: str) -> str:
    return text.replace("Wilhelm R", "Wilhelm Konrad R").replace("ntg", "ntgen")


@pytest.mark.parametrize("surface", WHOLE)
def test_an_answer_of_every_surface_is_kept_as_it_came_and_as_the_client_got_it(
    surface: str,
) -> None:
    found = Heard("application/json", surface)
    found.feed(json.dumps(WHOLE[surface]).encode())
    told = came_and_restored(found, restore_answer(found.body, CUT, surface).edits)
    said = [SAID, "Wilhelm Röntg" if surface == "messages" else ARGUMENTS]
    assert told == [(text, long(text)) for text in said[: len(told)]]
    assert len(told) == (1 if surface == "completions" else 2)


@pytest.mark.parametrize("surface", STREAMED)
def test_a_stream_of_every_surface_is_kept_as_it_came_and_as_the_client_got_it(
    surface: str,
) -> None:
    found, restorer = Heard("text/event-stream", surface), stream_restorer(CUT, surface)
    for event in STREAMED[surface]:
        restorer.feed(found.feed(b"data: " + json.dumps(event).encode() + b"\n\n"))
    restorer.flush()
    told = came_and_restored(found, restorer.edits)
    assert told == [(text, long(text)) for text in [SAID, ARGUMENTS][: len(told)]]
    assert len(told) == (1 if surface == "completions" else 2)


def test_nothing_is_heard_unless_it_may_be_kept() -> None:
    silent, keeping = Detail(), Detail(keep_seconds=60)
    plain = Untouched()
    assert heard(plain, JSON, silent, "chat") is plain
    assert heard(plain, [*JSON, (b"content-encoding", b"gzip")], keeping, "chat") is plain
    through = heard(plain, JSON, keeping, "chat")
    assert through.feed(b"{}") == b"{}"
    assert keeping.heard is not None and keeping.heard.body == b"{}"


def test_a_long_answer_is_heard_up_to_a_limit() -> None:
    found = Heard("application/json")
    for _ in range(3):
        found.feed(b"x" * (MOST_ANSWER // 2))
    assert len(found.body) <= MOST_ANSWER
    assert found.flush() == b""
