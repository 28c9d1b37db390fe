"""Where two answers differ: every string of both, by the place it stands at, and of a stream every
event. Which places may be restored is written down here anew, from docs/surfaces.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Path = tuple[str | int, ...]
Form = Literal["words", "json", "value"]
Recover = Callable[[str], str]
"""What recovery gives for the words of one string."""

LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"(\s*:)?', re.DOTALL)
"""A string of a JSON text; with a group: it is a key."""
CITING = ("web_search", "file_search", "code_interpreter")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A string that may be restored."""

    path: Path
    form: Form
    channel: tuple[Any, ...] = ()
    """In a stream: the text that this is a piece of; empty: it stands whole."""


def skeleton(raw: str) -> str:
    """A JSON text without what its string values say: white space, keys, numbers, order."""
    return LITERAL.sub(lambda found: found.group() if found.group(1) else '""', raw)


def strings(raw: str) -> list[tuple[Path, re.Match[str]]]:
    """The string values of a JSON text in order, each with its place."""
    values = [found for found in LITERAL.finditer(raw) if not found.group(1)]
    return list(zip(_leaves(json.loads(raw)), values, strict=True))


def _leaves(tree: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(tree, str):
        yield path
    elif isinstance(tree, dict):
        for name, inner in tree.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(tree, list):
        for n, inner in enumerate(tree):
            yield from _leaves(inner, (*path, n))


def changed(raw: str, change: Callable[[Path, str], str]) -> str:
    """A JSON text with some of its string values changed, all else as it stands."""
    out, at = [], 0
    for path, found in strings(raw):
        was = json.loads(found.group())
        now = change(path, was)
        if now != was:
            out += [raw[at : found.start()], json.dumps(now, ensure_ascii=raw.isascii())]
            at = found.end()
    return "".join([*out, raw[at:]])


def looks_like_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), (dict, list))
    except ValueError:
        return False


def check_restored(got: str, was: str, form: Form, recover: Recover) -> None:
    """A string became what recovery makes of it; a JSON text only inside its own strings."""
    if form == "json" or (form == "words" and looks_like_json(was)):
        assert skeleton(got) == skeleton(was)
        for one, other in zip(strings(got), strings(was), strict=True):
            mine, theirs = json.loads(one[1].group()), json.loads(other[1].group())
            assert mine == recover(theirs)
    else:
        assert got == recover(was)


def places(path: str, tree: Any, event: bool = False) -> list[Place]:
    """What may be restored in an answer that came from `path`, or in an event of one."""
    return list(_PLACES[path](tree, event))


def _chat(tree: Any, event: bool) -> Iterator[Place]:
    for n, choice in enumerate(tree.get("choices") or ()):
        if choice.get("logprobs"):
            continue
        part = "delta" if event else "message"
        said, top = choice.get(part) or {}, ("choices", n, part)
        whose = (choice["index"],) if event else ()
        if isinstance(said.get("content"), str):
            own = (*whose, "content") if event else ()
            yield Place(path=(*top, "content"), form="words", channel=own)
        for i, call in enumerate(said.get("tool_calls") or ()):
            if isinstance((call.get("function") or {}).get("arguments"), str):
                own = (*whose, "call", call.get("index", i)) if event else ()
                where = (*top, "tool_calls", i, "function", "arguments")
                yield Place(path=where, form="json", channel=own)
        if isinstance((said.get("function_call") or {}).get("arguments"), str):
            own = (*whose, "function") if event else ()
            yield Place(path=(*top, "function_call", "arguments"), form="json", channel=own)


def _completions(tree: Any, event: bool) -> Iterator[Place]:
    for n, choice in enumerate(tree.get("choices") or ()):
        if not choice.get("logprobs"):
            own = (choice["index"], "text") if event else ()
            yield Place(path=("choices", n, "text"), form="words", channel=own)


def _responses(tree: Any, event: bool) -> Iterator[Place]:
    if not event:
        tools = [str(tool.get("type")) for tool in tree.get("tools") or ()]
        if any(tool.startswith(CITING) for tool in tools):
            return
        for n, item in enumerate(tree.get("output") or ()):
            yield from _item(item, ("output", n))
        return
    kind = tree["type"]
    if kind == "response.output_text.delta" and not tree.get("logprobs"):
        whose = (tree["output_index"], "text", tree["content_index"])
        yield Place(path=("delta",), form="words", channel=whose)
    elif kind == "response.function_call_arguments.delta":
        yield Place(path=("delta",), form="json", channel=(tree["output_index"], "arguments"))
    elif kind == "response.output_text.done" and not tree.get("logprobs"):
        yield Place(path=("text",), form="words")
    elif kind == "response.function_call_arguments.done":
        yield Place(path=("arguments",), form="json")
    elif kind == "response.content_part.done":
        yield from _part(tree["part"], ("part",))
    elif kind == "response.output_item.done":
        yield from _item(tree["item"], ("item",))
    elif kind in ("response.completed", "response.incomplete", "response.failed"):
        inner = _responses(tree["response"], False)
        yield from (replace(place, path=("response", *place.path)) for place in inner)


def _item(item: Any, top: Path) -> Iterator[Place]:
    if item["type"] == "function_call":
        yield Place(path=(*top, "arguments"), form="json")
    elif item["type"] == "message":
        for n, part in enumerate(item["content"]):
            yield from _part(part, (*top, "content", n))


def _part(part: Any, top: Path) -> Iterator[Place]:
    counted = part.get("logprobs") or part.get("annotations")
    if part["type"] == "output_text" and not counted:
        yield Place(path=(*top, "text"), form="words")


def _messages(tree: Any, event: bool) -> Iterator[Place]:
    if event and tree["type"] == "content_block_delta":
        for name, form in (("text", "words"), ("partial_json", "json")):
            if name in tree["delta"]:
                yield Place(path=("delta", name), form=form, channel=(tree["index"],))
    for n, block in enumerate(tree.get("content") or () if not event else ()):
        if block["type"] == "text":
            yield Place(path=("content", n, "text"), form="words")
        elif block["type"] == "tool_use":
            inner = _leaves(block["input"], ("content", n, "input"))
            yield from (Place(path=path, form="value") for path in inner)


_PLACES: dict[str, Callable[[Any, bool], Iterator[Place]]] = {
    "/chat/completions": _chat,
    "/completions": _completions,
    "/responses": _responses,
    "/messages": _messages,
}


def check_whole(path: str, got: bytes, was: bytes, recover: Recover) -> None:
    """Two answers are the same but for what may be restored, and that is."""
    own, their = got.decode(), was.decode()
    assert skeleton(own) == skeleton(their)
    free = {place.path: place for place in places(path, json.loads(their))}
    for (where, mine), (_, theirs) in zip(strings(own), strings(their), strict=True):
        if where in free:
            said = json.loads(mine.group()), json.loads(theirs.group())
            check_restored(*said, free[where].form, recover)
        else:
            assert mine.group() == theirs.group(), where


@dataclass(frozen=True)
class Event:
    """An event of a stream."""

    raw: str
    data: str
    """Empty: it is a comment, or the end."""
    places: tuple[Place, ...] = ()
    tree: Any = None

    @property
    def pieces(self) -> list[tuple[Place, str]]:
        """The pieces of texts in it, and how each reads."""
        return [(place, at(self.tree, place.path)) for place in self.places if place.channel]

    @property
    def bare(self) -> str:
        """All but what may be restored."""
        free = {place.path for place in self.places}
        if not free:
            return self.raw
        return self.raw.replace(self.data, changed(self.data, lambda p, s: "" if p in free else s))


@dataclass
class Stream:
    events: list[Event] = field(default_factory=list)

    @property
    def texts(self) -> dict[tuple[Any, ...], tuple[str, Form]]:
        """What the pieces of each text say together."""
        told: dict[tuple[Any, ...], tuple[str, Form]] = {}
        for event in self.events:
            for place, piece in event.pieces:
                told[place.channel] = told.get(place.channel, ("", ""))[0] + piece, place.form
        return told


def at(tree: Any, path: Path) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def read_stream(path: str, raw: bytes) -> Stream:
    """The events of a stream; joined they are its bytes."""
    events: list[Event] = []
    scored: set[Any] = set()
    cites = False
    for text in re.split(r"(?<=\n\n)|(?<=\r\n\r\n)", raw.decode()):
        found = re.search(r"^data: ?(\{.*\})\r?$", text, re.MULTILINE)
        if found is None:
            events += [Event(text, "")] * bool(text)
            continue
        tree = json.loads(found.group(1))
        tools = (tree.get("response") or {}).get("tools") or ()
        cites = cites or any(str(tool.get("type")).startswith(CITING) for tool in tools)
        scored |= {c["index"] for c in tree.get("choices") or () if c.get("logprobs")}
        free = [] if cites else places(path, tree, event=True)
        kept = tuple(p for p in free if not p.channel or p.channel[0] not in scored)
        events.append(Event(text, found.group(1), kept, tree))
    return Stream(events)


def check_stream(path: str, got: bytes, was: bytes, recover: Recover) -> None:
    """Each text of a stream is what recovery makes of it as a whole; each event is there, in
    order and the same but for such texts. An event that is nothing but a piece of text may go,
    or come once more, as its text is held back."""
    mine, theirs = read_stream(path, got), read_stream(path, was)
    assert list(mine.texts) == list(theirs.texts)
    for channel, (text, form) in theirs.texts.items():
        check_restored(mine.texts[channel][0], text, form, recover)
    passed = 0
    for event in mine.events:
        found = _come(event, theirs.events, passed)
        if found is None:
            assert _added(event, theirs.events[:passed]), f"this did not come: {event.raw}"
            continue
        for place in event.places:
            if not place.channel:
                said = at(event.tree, place.path), at(theirs.events[found].tree, place.path)
                check_restored(*said, place.form, recover)
        passed = found + 1
    lost = [event.raw for event in theirs.events[passed:] if not _only_text(event)]
    assert not lost, lost


def _come(event: Event, events: list[Event], start: int) -> int | None:
    """Which event this was, from `start` on; before it, only pieces of text were held back."""
    for n in range(start, len(events)):
        if events[n].bare == event.bare:
            return n
        if not _only_text(events[n]):
            return None
    return None


def _only_text(event: Event) -> bool:
    """True if an event is a piece of one text and says nothing else."""
    if len(event.pieces) != 1:
        return False
    if "choices" not in event.tree:
        return True
    (choice,) = event.tree["choices"]
    said = choice.get("delta", choice)
    calls = said.get("tool_calls") or [{}]
    return (
        choice.get("finish_reason") is None
        and not event.tree.get("usage")
        and (said is choice or len(said) == 1)
        and set(calls[0]) <= {"index", "function"}
        and set(calls[0].get("function", {})) <= {"arguments"}
    )


def _ends(tree: Any, whose: Any) -> bool:
    """True if an event ends a choice, an item or a block."""
    if "choices" in tree:
        return any(c["index"] == whose and c.get("finish_reason") for c in tree["choices"])
    return str(tree.get("type")).endswith((".done", "_stop")) and whose in (
        tree.get("output_index"),
        tree.get("index"),
    )


def _added(event: Event, before: list[Event]) -> bool:
    """True if an event is one more piece of a text that is not at its end, under its head."""
    if not _only_text(event):
        return False
    channel = event.pieces[0][0].channel
    if any(_ends(e.tree, channel[0]) for e in before if e.tree):
        return False
    own = [e for e in before if channel in {place.channel for place in e.places}]
    if "choices" not in event.tree:
        return any(e.bare == event.bare for e in own)
    head = {k: v for k, v in event.tree.items() if k != "choices"}
    return any(head.items() <= e.tree.items() for e in own)
