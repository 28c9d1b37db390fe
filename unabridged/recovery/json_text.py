"""Restores a JSON text inside its string values alone: it stays valid, and its types stay."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from unabridged.recovery.index import Index
from unabridged.recovery.text_stream import Piece, TextRestorer

Splice = tuple[int, int, str]
"""Start, end and replacement of a stretch of a text."""

_ESCAPE = re.compile(
    # One decoded character each: a surrogate pair is one.
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[^u])",
    re.DOTALL,
)
_STRING = re.compile(r'[^"\\]+|\\(?:u[0-9a-fA-F]{4}|[^u])|"', re.DOTALL)
_HALF = re.compile("[\ud800-\udfff]")
_BETWEEN = frozenset(' \t\r\n-+.0123456789eEtruefalsnINity{}[],:"')


class Restorer(Protocol):
    """Takes a text piece by piece and gives it back restored."""

    @property
    def edits(self) -> list[Piece]: ...
    @property
    def splices(self) -> list[Splice]: ...
    @property
    def holds(self) -> int: ...
    def feed(self, piece: str) -> str: ...
    def flush(self) -> str: ...


def encode(text: str, ascii_only: bool) -> str:
    """`text` as it stands between the quotes of a JSON string."""
    return spell(text, ascii_only)[1:-1]


def spell(value: object, ascii_only: bool = False) -> str:
    """A value as compact JSON that can be encoded: half a surrogate pair, as of a character that
    a model writes in two pieces, is always an escape."""
    raw = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))
    return raw if raw.isascii() else _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", raw)


def respell(raw: str, splices: Sequence[Splice]) -> str:
    """The inside of a JSON string, `raw`, with stretches of its decoded text replaced.

    Everything outside of `splices` keeps the escapes it came with.
    """
    escapes = [found.span() for found in _ESCAPE.finditer(raw)]
    ascii_only = "\\u" in raw and raw.isascii()
    out: list[str] = []
    at = longer = step = 0
    for start, end, new in splices:
        while step < len(escapes) and escapes[step][0] - longer < start:
            longer += escapes[step][1] - escapes[step][0] - 1
            step += 1
        out.extend((raw[at : start + longer], encode(new, ascii_only)))
        while step < len(escapes) and escapes[step][0] - longer < end:
            longer += escapes[step][1] - escapes[step][0] - 1
            step += 1
        at = end + longer
    return "".join([*out, raw[at:]])


class JsonRestorer:
    """Restores a JSON text that arrives in pieces. Keys, numbers and everything else outside of
    string values pass as they came; so does all that follows what is not JSON."""

    def __init__(self, index: Index) -> None:
        self.edits: list[Piece] = []
        self.splices: list[Splice] = []
        self.broken = False
        """True once something has come that no JSON text has there."""
        self.rest = ""
        self._index = index
        self._held = ""
        self._value: _Value | None = None
        self._key = False
        self._nesting: list[str] = []
        self._expects_key = False
        self._begun = False
        self._at = 0

    @property
    def holds(self) -> int:
        """Characters that have not been given back yet."""
        return len(self._held) + (len(self._value.raws) if self._value else 0)

    def feed(self, piece: str) -> str:
        """The text that is decided."""
        out = self.feed_json(piece)
        rest, self.rest = self.rest, ""
        return out + rest

    def feed_json(self, piece: str) -> str:
        """As `feed`, but what follows the end of the JSON text is left in `rest`."""
        if self.broken:
            self.rest = piece
            return ""
        text, at = self._held + piece, 0
        out: list[str] = []
        while at < len(text) and not self.broken:
            if self._key or self._value:
                found = _STRING.match(text, at)
                if found is None:
                    break
                symbol = found.group()
            else:
                symbol = text[at]
                if symbol not in _BETWEEN:
                    self.broken = True
                    break
            at += len(symbol)
            if self._value:
                out.append(self._in_value(symbol))
            else:
                out.append(symbol)
                self._outside(symbol)
        self._held, self.rest = ("", text[at:]) if self.broken else (text[at:], "")
        return "".join(out)

    def flush(self) -> str:
        """The rest of the text."""
        out = ""
        if self._value:
            out = self._emit(self._value.flush())
            self._value = None
        rest, self._held = self._held, ""
        return out + rest

    def _outside(self, symbol: str) -> None:
        self._at += len(symbol)
        if self._key:
            self._key = symbol != '"'
            return
        if symbol.isspace() or (symbol == ":" and self._nesting):
            return
        if self._begun and not self._nesting:
            self.broken = True
        elif symbol == '"':
            self._key = self._expects_key
            if not self._key:
                self._value = _Value(self._index)
            self._begun, self._expects_key = True, False
        elif symbol in "{[":
            self._nesting.append(symbol)
            self._begun, self._expects_key = True, symbol == "{"
        elif symbol in "}],:" and not self._nesting:
            self.broken = True
        elif symbol in "}]":
            if self._nesting.pop() != ("{" if symbol == "}" else "["):
                self.broken = True
            self._expects_key = False
        elif symbol == ",":
            self._expects_key = self._nesting[-1] == "{"
        else:
            self.broken = self._expects_key
            self._begun = True

    def _in_value(self, symbol: str) -> str:
        assert self._value is not None
        if symbol == '"':
            out = self._emit(self._value.flush()) + symbol
            self._at += 1
            self._value = None
            return out
        return self._emit(self._value.feed(symbol))

    def _emit(self, written: list[tuple[str, Piece | None, str]]) -> str:
        out = []
        for raw, piece, new in written:
            if piece is not None:
                self.edits.append(piece)
                self.splices.append((self._at, self._at + len(raw), new))
                out.append(new)
            else:
                out.append(raw)
            self._at += len(raw)
        return "".join(out)


class _Value:
    """One string value: its restorer, and the raw spelling of what that still holds."""

    def __init__(self, index: Index) -> None:
        self.restorer = TextRestorer(index, value=True)
        self.raws: deque[str] = deque()
        self.ascii_only = False
        self.given = 0
        self.seen = 0

    def feed(self, raw: str) -> list[tuple[str, Piece | None, str]]:
        if raw[0] == "\\":
            self.ascii_only = self.ascii_only or raw[1] == "u"
            self.raws.append(raw)
            self.restorer.feed(
                json.loads(f'"{raw}"', strict=False) if raw[1] in '"\\/bfnrtu' else raw[1]
            )
        else:
            self.raws.extend(raw)
            self.restorer.feed(raw)
        return self._decided()

    def flush(self) -> list[tuple[str, Piece | None, str]]:
        self.restorer.flush()
        return self._decided()

    def _decided(self) -> list[tuple[str, Piece | None, str]]:
        written: list[tuple[str, Piece | None, str]] = []
        for piece in self.restorer.edits[self.seen :]:
            written.append((self._take(piece.start - self.given), None, ""))
            written.append(
                (self._take(piece.end - self.given), piece, encode(piece.now, self.ascii_only))
            )
        self.seen = len(self.restorer.edits)
        written.append((self._take(self.restorer.decided - self.given), None, ""))
        return written

    def _take(self, count: int) -> str:
        self.given += count
        taken = "".join(islice(self.raws, count))
        for _ in range(count):
            self.raws.popleft()
        return taken


class ContentRestorer:
    """Restores the content of an answer: a JSON text inside its strings, any other text freely.

    What begins like JSON and then is not counts as text from there on."""

    def __init__(self, index: Index) -> None:
        self.edits: list[Piece] = []
        self.splices: list[Splice] = []
        self._index = index
        self._text: TextRestorer | None = None
        self._json: JsonRestorer | None = None
        self._base = 0
        self._fed = 0
        self._seen = 0

    @property
    def holds(self) -> int:
        """Characters that have not been given back yet."""
        active = self._text or self._json
        return active.holds if active else 0

    def feed(self, piece: str) -> str:
        """The text that is decided."""
        if self._text is None and self._json is None:
            begin = piece.lstrip()
            if not begin:
                self._fed += len(piece)
                return piece
            self._base = self._fed
            if begin[0] in "{[":
                self._json = JsonRestorer(self._index)
            else:
                self._text = TextRestorer(self._index)
        self._fed += len(piece)
        if self._json is None:
            assert self._text is not None
            return self._noted(self._text, self._text.feed(piece))
        out = self._json.feed_json(piece)
        self._copy(self._json)
        if self._json.broken:
            rest, self._json, self._seen = self._json.rest, None, 0
            self._text = TextRestorer(self._index)
            self._base = self._fed - len(rest)
            out += self._noted(self._text, self._text.feed(rest))
        return out

    def flush(self) -> str:
        """The rest of the text."""
        if self._json is not None:
            out = self._json.flush()
            self._copy(self._json)
            return out
        return self._noted(self._text, self._text.flush()) if self._text else ""

    def _noted(self, restorer: TextRestorer, out: str) -> str:
        for piece in restorer.edits[self._seen :]:
            self.edits.append(piece)
            self.splices.append((self._base + piece.start, self._base + piece.end, piece.now))
        self._seen = len(restorer.edits)
        return out

    def _copy(self, restorer: JsonRestorer) -> None:
        self.edits.extend(restorer.edits[self._seen :])
        self.splices.extend(
            (self._base + a, self._base + b, new) for a, b, new in restorer.splices[self._seen :]
        )
        self._seen = len(restorer.edits)


class ValueRestorer:
    """Restores one string value of a JSON text, decoded."""

    def __init__(self, index: Index) -> None:
        self._text = TextRestorer(index, value=True)

    @property
    def edits(self) -> list[Piece]:
        """What was restored."""
        return self._text.edits

    @property
    def splices(self) -> list[Splice]:
        """The same as replacements of stretches of the text."""
        return [(piece.start, piece.end, piece.now) for piece in self._text.edits]

    @property
    def holds(self) -> int:
        """Characters that have not been given back yet."""
        return self._text.holds

    def feed(self, piece: str) -> str:
        """The text that is decided."""
        return self._text.feed(piece)

    def flush(self) -> str:
        """The rest of the text."""
        return self._text.flush()
