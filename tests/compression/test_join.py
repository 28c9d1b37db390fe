"""Putting a prompt together again."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.join import join, render, whole_escapes
from unabridged.compression.prompt import Compressed, Prompt, Segment, Span, Where
from unabridged.compression.split import split, split_text
from unabridged.policies.policy import Policy

DOCUMENTS = (
    "Document [1](Title: River) The river rises in the hills and runs south for miles.\n"
    'Document [2](Title: Mill) The "old" mill was built in 1911 by the Keller family.\n'
)


def _compressed(
    prompt: Prompt, kept: list[tuple[Span, ...]], order: tuple[int, ...] = ()
) -> Compressed:
    zeros = (0,) * len(prompt.segments)
    why = ("",) * len(prompt.segments)
    return Compressed(
        prompt=prompt,
        kept=tuple(kept),
        why=why,
        order=order,
        tokens_before=zeros,
        tokens_after=zeros,
    )


def _all(prompt: Prompt) -> list[tuple[Span, ...]]:
    return [((0, len(s.text)),) for s in prompt.segments]


def _body(text: str) -> str:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], "n": 1})


def test_a_dropped_document_goes_with_its_wrapper_and_nothing_else() -> None:
    body = _body(f"Answer.\n\n{DOCUMENTS}\nQuestion: who?")
    prompt = split(body, Policy())
    kept = _all(prompt)
    first = next(i for i, s in enumerate(prompt.segments) if s.kind == "document")
    kept[first] = ()
    sent = json.loads(render(_compressed(prompt, kept)))
    assert (
        sent["messages"][0]["content"]
        == f"Answer.\n\n{DOCUMENTS.splitlines()[1]}\n\nQuestion: who?"
    )
    assert sent["n"] == 1


def test_documents_change_places_within_their_string() -> None:
    prompt = split(_body(f"Answer.\n\n{DOCUMENTS}\nQuestion: who?"), Policy())
    one, two = [i for i, s in enumerate(prompt.segments) if s.kind == "document"]
    order = list(range(len(prompt.segments)))
    order[one], order[two] = two, one
    sent = json.loads(render(_compressed(prompt, _all(prompt), tuple(order))))
    text = sent["messages"][0]["content"]
    assert text.index("[2](Title") < text.index("[1](Title") < text.index("Question")


def test_an_order_that_forgets_a_segment_is_refused() -> None:
    prompt = split(_body(f"Answer.\n\n{DOCUMENTS}"), Policy())
    with pytest.raises(ValueError, match="each of the"):
        render(_compressed(prompt, _all(prompt), (0,)))


@given(st.text())
def test_a_plain_text_comes_back_whole(text: str) -> None:
    assert join(split_text(text, Policy())) == text


def test_segments_that_do_not_tile_a_string_are_not_hidden_by_join() -> None:
    prompt = split(_body(f"Answer.\n\n{DOCUMENTS}"), Policy())
    broken = replace(prompt, segments=prompt.segments[1:])
    assert join(broken) != prompt.body


@given(st.text(alphabet='ab"\\\n\u00e9\U0001f600'), st.data())
def test_widened_spans_never_cut_an_inner_escape(text: str, data: st.DataObject) -> None:
    inner = json.dumps(text)[1:-1]
    segment = Segment(kind="document", text=inner, where=Where(path=(), start=0), escaped=True)
    cuts = sorted(set(data.draw(st.lists(st.integers(0, len(inner)), max_size=8))))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    wide = whole_escapes(segment, spans)
    kept = "".join(inner[a:b] for a, b in wide)
    assert isinstance(json.loads(f'"{kept}"'), str)
    assert all(any(a <= x and y <= b for a, b in wide) for x, y in spans)
    assert all(a[1] < b[0] for a, b in pairwise(wide))


def test_widened_spans_never_cut_an_inner_surrogate_pair() -> None:
    inner = json.dumps("a \U0001f600 b")[1:-1]
    segment = Segment(kind="document", text=inner, where=Where(path=(), start=0), escaped=True)
    assert whole_escapes(segment, ((0, 8),)) == ((0, 14),)
    assert whole_escapes(segment, ((9, 16),)) == ((2, 16),)
    assert whole_escapes(segment, ((0, 2), (14, 16))) == ((0, 2), (14, 16))
