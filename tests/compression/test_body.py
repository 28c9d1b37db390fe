"""Reading a request body without taking it apart."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.body import BadBody, read, splice

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """Chat bodies with any fields around the messages, written in any JSON style."""
    part = st.fixed_dictionaries({"type": st.just("text"), "text": st.text()})
    content = st.text() | st.none() | st.lists(part | st.dictionaries(st.text(), VALUES))
    message = st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "assistant", "tool", "x"]), "content": content},
        optional={"name": st.text(), "extra": VALUES},
    )
    body = draw(st.dictionaries(st.text(), VALUES, max_size=3))
    body["messages"] = draw(st.lists(message, max_size=4))
    return json.dumps(
        body,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 0, 2, "\t"])),
    )


@given(bodies())
def test_every_text_lies_between_its_quotes(raw: str) -> None:
    for text in read(raw).texts:
        assert json.loads(f'"{raw[text.start : text.end]}"') == text.value
        assert raw[text.start - 1] == raw[text.end] == '"'


@given(bodies())
def test_keeping_everything_gives_the_same_characters(raw: str) -> None:
    body = read(raw)
    assert splice(body, {t.path: [(0, len(t.value))] for t in body.texts}) == raw


@given(bodies(), st.data())
def test_what_is_cut_is_exactly_what_was_named(raw: str, data: st.DataObject) -> None:
    body = read(raw)
    kept = {}
    for text in body.texts:
        ends = sorted(data.draw(st.lists(st.integers(0, len(text.value)), min_size=2, max_size=2)))
        kept[text.path] = [(ends[0], ends[1])]
    short = read(splice(body, kept))
    assert [t.value for t in short.texts] == [t.value[slice(*kept[t.path][0])] for t in body.texts]
    assert [m.key for m in short.members] == [m.key for m in body.members]


def test_escapes_and_numbers_stay_as_the_caller_wrote_them() -> None:
    raw = (
        r'{ "seed":1e0,"big":' + "9" * 5000 + r',"t":1.0, "messages":[{"role":"user",'
        r'"content":"a\u00e9\ud83d\ude00\/b\ud800\u0000\"c\n"}]}'
    )
    body = read(raw)
    text = body.texts[0]
    assert text.value == 'aé\U0001f600/b\ud800\0"c\n'
    cut = splice(body, {text.path: [(0, 3), (5, 8)]})
    assert cut == raw.replace(r"\/b", "").replace(r"c\n", "")


def test_parts_of_a_content_list_are_texts_and_urls_are_not() -> None:
    content = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    body = read(json.dumps({"messages": [{"role": "user", "content": content}]}))
    assert [t.value for t in body.texts] == ["look"]
    assert body.texts[0].path == ("messages", 0, "content", 0, "text")


@pytest.mark.parametrize(
    "raw",
    [
        '{"messages":[],"messages":[]}',
        '{"model":"a","mod\\u0065l":"b","messages":[]}',
        '{"messages":[{"role":"user","role":"system","content":"x"}]}',
        '{"messages":[{"role":"user","content":"x","content":"y"}]}',
        '{"messages":[{"role":"user","content":[{"type":"text","text":"x","text":"y"}]}]}',
    ],
)
def test_a_key_that_stands_twice_is_named(raw: str) -> None:
    assert "stands twice" in read(raw).trouble


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        ('{"a":1, "unabridged" : {"rate":0.5} , "b":2}', '{"a":1 , "b":2}'),
        ('{ "unabridged":{"x":[1,2]},\n "b":2}', '{ "b":2}'),
        ('{"b":2,"unabridged":null}', '{"b":2}'),
        ('{"unabridged":1}', "{}"),
        ('{"unabridged":1,"unabridged":2}', "{}"),
        ('{"unabridged":1,"a":0,"unabridged":2}', '{"a":0}'),
        ('{"a":0,"unabridged":1,"unabridged":2}', '{"a":0}'),
        ('{"a":"unabridged"}', '{"a":"unabridged"}'),
    ],
)
def test_the_callers_options_are_taken_out_with_their_comma(raw: str, left: str) -> None:
    assert read(raw).without("unabridged") == left


def test_options_and_scalars_come_from_the_same_reading() -> None:
    body = read('{"model":"m","stream":true,"n":2,"unabridged":{"rate":0.25},"stop":["x"]}')
    assert (body.scalar("model"), body.scalar("stream"), body.scalar("n")) == ("m", True, 2)
    assert body.scalar("stop") is None
    assert body.scalar("absent") is None
    assert body.value("unabridged") == {"rate": 0.25}
    digits = "1" * 5000
    assert read(f'{{"tools":[{{"most":{digits}}}]}}').value("tools") == [{"most": digits}]


@pytest.mark.parametrize(
    "raw", ["", "[]", "null", "{", '{"a"}', '{"a":1,}', "{} x", '{"a":"\n"}', "﻿{}"]
)
def test_what_is_not_a_json_object_is_refused(raw: str) -> None:
    with pytest.raises(BadBody):
        read(raw)


def test_deep_nesting_is_refused_and_not_a_crash() -> None:
    with pytest.raises(BadBody, match="deep"):
        read('{"tools":' + "[" * 200_000 + "]" * 200_000 + "}")


def test_ten_megabytes_are_read_in_linear_time() -> None:
    content = 'Ein Satz mit "Zitat" und ü.\n' * 330_000
    raw = json.dumps({"messages": [{"role": "user", "content": content}]})
    start = time.perf_counter()
    body = read(raw)
    assert splice(body, {body.texts[0].path: [(0, 5), (len(content) - 5, len(content))]})
    assert time.perf_counter() - start < 5
