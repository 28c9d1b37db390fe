"""A prompt in five scripts, what a compressor left of it, and random ways to cut it."""

# ruff: noqa: E501  (patterns and samples read better unbroken)
from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

ORIGINAL = (
    "The Treaty of Ghent was signed in Belgium. Wilhelm Röntgen discovered the rays in 1895.\n"
    "The bridge over the strait is 1,402 km long. Reservation MZDDS4 belongs to raj_sanchez_7340.\n"
    "The manual is at https://example.com/docs/page and the file is src/main/parse.py.\n"
    "It is generally considered safe but not recommended for children.\n"
    "빌헬름 뢴트겐이 엑스선을 발견했다. ヴィルヘルム・レントゲンは物理学者です。威廉·伦琴发现了射线。\n"
    "Он встретил Владимира Вернадского в Москве. التقى الباحث بالأستاذ عبدالرحمن أمس."
)
COMPRESSED = (
    "The Treaty Gh was signed in Belgium. Wilhelm Röntg discovered the rays 1895.\n"
    "bridge strait 1,402. Reservation MZDDS4 belongs raj_sanchez_73.\n"
    "manual at https://example.com/do and file src/main/pa.py.\n"
    "It is not recommended for children.\n"
    "빌헬름 뢴트 엑스선을 발견했다. ヴィルヘルム・レントは物理学者です。威廉·伦发现了射线。\n"
    "Он встретил Владимира Вернадск в Москве. التقى الباحث بالأستاذ عبدالر أمس."
)


def event(*choices: dict[str, Any], end: str = "\n\n", **more: Any) -> bytes:
    """A chat.completion.chunk as a server-sent event."""
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    text = json.dumps({**body, "choices": list(choices), **more}, ensure_ascii=False)
    return f"data: {text}{end}".encode()


def delta(text: str, index: int = 0) -> dict[str, Any]:
    """A choice that brings a piece of content."""
    return {"index": index, "delta": {"content": text}, "finish_reason": None}


def stop(index: int = 0, reason: str = "stop") -> dict[str, Any]:
    """A choice that ends."""
    return {"index": index, "delta": {}, "finish_reason": reason}


FORMS = (
    "Wilhelm Röntg", "the Treaty Gh", "1,402", "raj_sanchez_73", "https://example.com/do",
    "빌헬름 뢴트가", "빌헬름 뢴트", "ヴィルヘルム・レント", "威廉·伦", "Вернадск", "встретил Владимира Вернадск в", "عبدالر",
    "Wilhelm", "Röntg", "Treaty", "Gh", "is not recommended", "```", "`", "\n\n", "[3]", '"', "{", "}",
)  # fmt: skip

replies = st.lists(
    st.one_of(
        st.sampled_from(FORMS), st.text(max_size=6), st.sampled_from([" ", ", ", ". ", "\n"])
    ),
    max_size=14,
).map("".join)
"""Texts that are full of shortened forms, whole ones, marks and noise."""


@st.composite
def cut_up(draw: st.DrawFn, text: str) -> list[str]:
    """The text in pieces."""
    borders = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)))
    return [text[a:b] for a, b in zip([0, *borders], [*borders, len(text)], strict=True)]


@st.composite
def kept_spans(draw: st.DrawFn, text: str) -> tuple[tuple[int, int], ...]:
    """Any sorted, disjoint spans of the text."""
    borders = sorted(draw(st.sets(st.integers(0, len(text)), min_size=2, max_size=40)))
    return tuple(zip(borders[::2], borders[1::2], strict=False))
