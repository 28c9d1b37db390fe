"""A whole answer: its texts are restored, the rest of its bytes stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cut_prompts import COMPRESSED, ORIGINAL, replies
from hypothesis import given
from hypothesis import strategies as st

from unabridged.recovery.answer import restore_answer
from unabridged.recovery.index import Index
from unabridged.recovery.restore import restore

INDEX = Index.of_texts(ORIGINAL, COMPRESSED)
WRITTEN = [json.dumps, lambda value: json.dumps(value, ensure_ascii=False, indent=2)]


def body_of(content: Any, **message: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "message": {"content": content, **message}}]}


@given(replies, st.sampled_from(WRITTEN))
def test_the_content_is_the_restored_text_and_all_else_stays(
    reply: str, write: Callable[[Any], str]
) -> None:
    body = body_of("It says: " + reply)
    raw = write(body).encode(errors="surrogatepass")
    found = json.loads(restore_answer(raw, INDEX).body)
    assert found["choices"][0]["message"].pop("content") == restore("It says: " + reply, INDEX).text
    body["choices"][0]["message"].pop("content")
    assert found == body


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        replies,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(replies, inner, max_size=4)
    ),
    max_leaves=8,
)


def shape(value: Any) -> Any:
    """The value with every string value gone: what must not change."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return "" if isinstance(value, str) else (type(value), value)


@given(st.dictionaries(replies, json_values, max_size=4), st.sampled_from(WRITTEN))
def test_json_stays_valid_and_keeps_its_keys_and_types(
    value: dict[str, Any], write: Callable[[Any], str]
) -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": write(value)}}]
    raw = json.dumps(body_of(write(value), tool_calls=calls)).encode(errors="surrogatepass")
    message = json.loads(restore_answer(raw, INDEX).body)["choices"][0]["message"]
    assert shape(json.loads(message["content"])) == shape(value)
    assert shape(json.loads(message["tool_calls"][0]["function"]["arguments"])) == shape(value)


def test_every_choice_is_restored(answer: Callable[..., bytes], index: Index) -> None:
    raw = answer({"content": "Wilhelm Röntg"}, {"content": "no"}, {"content": "the Treaty Gh"})
    restored = restore_answer(raw, index)
    texts = [c["message"]["content"] for c in json.loads(restored.body)["choices"]]
    assert texts == ["Wilhelm Röntgen", "no", "the Treaty of Ghent"]
    assert [edit.path[1] for edit in restored.edits] == [0, 2]


def test_bytes_outside_the_edits_stay(index: Index) -> None:
    raw = (
        b'{ "x" : 1.50, "choices":[ {"message":{"content":"a\\/b \\u0057ilhelm R\\u00f6ntg"}} ]}\n'
    )
    want = b'{ "x" : 1.50, "choices":[ {"message":{"content":"a\\/b Wilhelm R\\u00f6ntgen"}} ]}\n'
    assert restore_answer(raw, index).body == want


def test_refusals_and_reasoning_stay(answer: Callable[..., bytes], index: Index) -> None:
    raw = answer(
        {"content": None, "refusal": "Wilhelm Röntg", "reasoning_content": "Wilhelm Röntg"}
    )
    assert restore_answer(raw, index).body == raw


def test_a_choice_with_log_probabilities_is_left_alone_and_said_so(
    answer: Callable[..., bytes], index: Index
) -> None:
    raw = answer({"content": "Wilhelm Röntg"}, logprobs={"content": []})
    restored = restore_answer(raw, index)
    assert restored.body == raw
    assert "log probabilities" in restored.untouched[0]


def test_tool_arguments_are_restored_in_string_values_alone(
    answer: Callable[..., bytes], index: Index
) -> None:
    arguments = '{"Wilhelm Röntg": "Wilhelm Röntg", "n": 1402, "say": "\\"the Treaty Gh\\""}'
    raw = answer({"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]})
    call = json.loads(restore_answer(raw, index).body)["choices"][0]["message"]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == {
        "Wilhelm Röntg": "Wilhelm Röntgen",
        "n": 1402,
        "say": '"the Treaty of Ghent"',
    }


def test_a_string_that_is_a_number_gets_no_unit(answer: Callable[..., bytes], index: Index) -> None:
    raw = answer({"content": '{"km": "1,402"}'})
    assert restore_answer(raw, index).body == raw


def test_what_only_begins_like_json_is_text(answer: Callable[..., bytes], index: Index) -> None:
    raw = answer({"content": "[1] Wilhelm Röntg, {Wilhelm Röntg}"})
    text = json.loads(restore_answer(raw, index).body)["choices"][0]["message"]["content"]
    assert text == "[1] Wilhelm Röntgen, {Wilhelm Röntgen}"


@pytest.mark.parametrize("raw", [b"", b"not json", b"[1]", b"\xff{}", b'{"choices": 3}', b"{}"])
def test_what_is_no_answer_comes_back(raw: bytes, index: Index) -> None:
    assert restore_answer(raw, index).body == raw
