"""Recorded answers with a few words put into them that a prompt was cut to: where they may be
restored, and where they must not be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from differences import LITERAL, Form, Path, Stream, changed, looks_like_json, places, read_stream
from recordings import Recording

ORIGINAL = "The Treaty of Ghent was signed in Belgium. 안토니오 비발디가 사계를 썼다."
CUT = r" of(?= Ghent)|(?<=Gh)ent|(?<=비발)디"
SHORT = re.sub(CUT, "", ORIGINAL)
WORDS = " Treaty Gh, 안토니오 비발. "
LAST = " Treaty Gh"
"""At the end of a streamed text: what follows could have decided what it is."""
FIXED = {"type", "object", "role", "status", "finish_reason", "stop_reason"}
"""Names of strings that a client knows all values of."""


def asking(recording: Recording) -> Recording:
    """The request with ORIGINAL at the end of the last text of its user."""
    body = recording.request
    for name in ("messages", "input", "prompt"):
        said = body.get(name)
        if isinstance(said, str):
            body[name] = f"{said}\n{ORIGINAL}"
        elif isinstance(said, list):
            own = [item for item in said if item.get("role") in ("user", "developer")]
            own[-1]["content"] = _longer(own[-1]["content"])
    return replace(recording, body=json.dumps(body, ensure_ascii=False).encode())


def _longer(content: Any) -> Any:
    if isinstance(content, str):
        return f"{content}\n{ORIGINAL}"
    texts = [part for part in content if "text" in part]
    texts[-1]["text"] += f"\n{ORIGINAL}"
    return content


def answering(recording: Recording) -> Recording:
    """The answer with WORDS in every text that may be restored, and in every other string."""
    headers = [(k, v) for k, v in recording.headers if k.lower() != "content-length"]
    if "content-type" not in {name.lower() for name, _ in headers}:
        # A recording lost it; the server had sent one.
        headers.append(("content-type", "application/json"))
    change = _stream if recording.streams else _whole
    answer = change(recording.path, recording.answer.decode())
    return replace(recording, answer=answer.encode(), headers=headers)


def _whole(path: str, raw: str) -> str:
    free = {place.path: place.form for place in places(path, json.loads(raw))}
    return changed(raw, lambda where, was: _with(was, free.get(where), where))


def _with(was: str, form: Form | None, where: Path) -> str:
    """A string with WORDS in it; `form` None: it may not be restored."""
    if form is None:
        fixed = not was or where[-1] in FIXED
        return was if fixed else was + WORDS
    place = _places(was, form)
    return was[: place[-1]] + WORDS + was[place[-1] :] if place else was


def _places(text: str, form: Form) -> list[int]:
    """Where WORDS can stand: anywhere, but in a JSON text only in its values, between escapes."""
    if form != "json" and not (form == "words" and looks_like_json(text)):
        return list(range(1, len(text) + 1))
    values = [v for v in LITERAL.finditer(text) if not v.group(1)]
    found = [n for v in values for n in range(v.start() + 1, v.end())]
    return [n for n in found if not re.search(r"\\(u[0-9a-fA-F]{0,3})?$", text[max(0, n - 6) : n])]


def _stream(path: str, raw: str) -> str:
    stream = read_stream(path, raw.encode())
    pieces, wholes = _pieces(stream)
    told = iter(pieces)
    out = []
    for event in stream.events:
        if not event.data:
            out.append(event.raw)
            continue
        now = {place.path: next(told) for place, _ in event.pieces}
        free = {place.path: place.form for place in event.places}
        change = _changing(now, wholes, free)
        out.append(event.raw.replace(event.data, changed(event.data, change)))
    return "".join(out)


def _changing(
    now: dict[Path, str], wholes: dict[str, str], free: dict[Path, Form]
) -> Callable[[Path, str], str]:
    def change(where: Path, was: str) -> str:
        if where in now:
            return now[where]
        if where in free and was in wholes:
            return wholes[was]
        return _with(was, free.get(where), where)

    return change


def _pieces(stream: Stream) -> tuple[list[str], dict[str, str]]:
    """The pieces of all texts in their order, WORDS on the border of two of them if they can
    stand there, LAST behind those that are no JSON; and what each text now says as a whole."""
    pieces = [(place.channel, piece) for event in stream.events for place, piece in event.pieces]
    now = [piece for _, piece in pieces]
    wholes = {}
    for channel, (text, form) in stream.texts.items():
        own = [n for n, (whose, _) in enumerate(pieces) if whose == channel]
        ends, length = {}, 0
        for n in own:
            length += len(now[n])
            ends[length] = n
        fit = _places(text, form)
        borders = [at for at in fit if at in ends and at < length]
        if borders:
            at = borders[len(borders) // 2]
            after = next(n for n in own if n > ends[at] and now[n])
            now[ends[at]] += WORDS[:9]
            now[after] = WORDS[9:] + now[after]
        elif fit:
            end, n = next((end, n) for end, n in ends.items() if end >= fit[-1] and now[n])
            inside = fit[-1] - (end - len(now[n]))
            now[n] = now[n][:inside] + WORDS + now[n][inside:]
        if text and len(fit) == len(text):  # it is no JSON
            now[max(n for n in own if now[n])] += LAST
        wholes[text] = "".join(now[n] for n in own)
    return now, wholes
