"""The beginnings that requests share are known again, with how they were sent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.body import read
from unabridged.compression.prompt import Compressed, Prompt
from unabridged.compression.split import split
from unabridged.policies.policy import Policy
from unabridged.proxy.prefixes import look, marks, measured, note
from unabridged.proxy.shelf import MemoryShelf

DOCUMENTS = "\n\n".join(f"Document [{n}] Town {n} is old. It lies by the sea." for n in range(4))
FIRST = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": f"{DOCUMENTS}\n\nQuestion: How old is town 2?"},
]
THEN = [{"role": "assistant", "content": "Old."}, {"role": "user", "content": "And town 3?"}]


def prompt(messages: list[Any], **more: Any) -> Prompt:
    return split(json.dumps({"messages": messages, **more}), Policy())


def names(messages: list[Any], there: str = "m", **more: Any) -> list[str]:
    found = prompt(messages, **more)
    return [mark.name for mark in marks(found, read(found.body), there)]


def halved(found: Prompt) -> Compressed:
    lengths = [len(s.text) for s in found.segments]
    return Compressed(
        prompt=found,
        kept=tuple(((0, n - n // 2),) for n in lengths),
        why=("half",) * len(lengths),
        tokens_before=tuple(lengths),
        tokens_after=tuple(n - n // 2 for n in lengths),
    )


def test_the_next_turn_begins_with_all_marks_of_the_one_before() -> None:
    short, long = names(FIRST), names(FIRST + THEN)
    assert long[: len(short)] == short
    assert len(long) == len(set(long)) > len(short)


def test_documents_in_front_of_another_question_are_known_again() -> None:
    other = [FIRST[0], {**FIRST[1], "content": f"{DOCUMENTS}\n\nQuestion: Where is town 1?"}]
    assert names(FIRST)[:2] == names(other)[:2]
    assert names(FIRST)[2:] != names(other)[2:]


def test_anthropics_api_caches_what_it_is_asked_to_and_nothing_else() -> None:
    def ends(mark: dict[str, Any] | None, **more: Any) -> list[int]:
        first = {"type": "text", "text": DOCUMENTS, **({"cache_control": mark} if mark else {})}
        blocks = [first, {"type": "text", "text": "How old is town 2?"}]
        body = json.dumps({"messages": [{"role": "user", "content": blocks}, *THEN], **more})
        found = split(body, Policy(), surface="messages")
        return [mark.end for mark in marks(found, read(body, "messages"), "m")]

    ephemeral = {"type": "ephemeral"}
    assert ends(None) == []
    whole = ends(None, cache_control=ephemeral)
    assert len(whole) > 2
    assert ends(ephemeral) == whole[:1] == [4]  # the documents


def test_another_model_tool_or_cache_key_is_another_beginning() -> None:
    every = [
        names(FIRST),
        names(FIRST, "other model"),
        names(FIRST, tools=[{"type": "function"}]),
        names(FIRST, prompt_cache_key="k"),
    ]
    assert len({name for each in every for name in each}) == sum(map(len, every))
    assert names(FIRST, temperature=0.5) == names(FIRST)


def test_what_went_out_is_known_to_the_next_request() -> None:
    shelf, found = MemoryShelf(), prompt(FIRST)
    compressed = halved(found)
    sent = measured(marks(found, read(found.body), "m"), compressed)
    note(shelf, sent, compressed, version="v", seconds=9)
    longer = prompt(FIRST + THEN)
    known = look(shelf, marks(longer, read(longer.body), "m"))
    assert known[-1] is None
    last = [k for k in known if k is not None][-1]
    assert (last.kept, last.version, last.uses) == (compressed.kept, "v", 1)
    assert (last.whole, last.sent) == (
        sum(compressed.tokens_before),
        sum(compressed.tokens_after),
    )
    assert [k.kept for k in known[:2] if k] == [None, None], "shorter ones do not say how"


def test_uses_are_counted_and_a_whole_request_is_not_forgotten_by_a_longer_one() -> None:
    shelf, found, longer = MemoryShelf(), prompt(FIRST), prompt(FIRST + THEN)
    for each in (found, longer, longer):
        compressed = halved(each)
        sent = measured(marks(each, read(each.body), "m"), compressed)
        note(shelf, sent, compressed, version="v", seconds=9)
    known = look(shelf, marks(longer, read(longer.body), "m"))
    assert [k.uses for k in known if k] == [3, 3, 3, 2, 2]
    assert [k.kept is not None for k in known if k] == [False, False, True, False, True]


def test_a_cut_is_told_from_what_went_out_whole() -> None:
    found = prompt(FIRST)
    compressed = halved(found)
    entire = replace(compressed, kept=tuple(((0, len(s.text)),) for s in found.segments))
    every = marks(found, read(found.body), "m")
    assert all(mark.cut for mark in measured(every, compressed))
    assert not any(mark.cut for mark in measured(every, entire))


@given(st.binary() | st.sampled_from([b"{}", b'{"t":[1,2,"",1],"k":[[]],"a":[]}', b'{"t":1}']))
def test_what_is_not_ours_is_not_known(value: bytes) -> None:
    shelf, found = MemoryShelf(), prompt(FIRST)
    every = marks(found, read(found.body), "m")
    shelf.put({f"prefix:{mark.name}": value for mark in every}, seconds=9)
    assert look(shelf, every) == [None] * len(every)
