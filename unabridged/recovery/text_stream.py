"""Restores a text that arrives in pieces; how it is chopped never changes the result."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TypeAlias

import regex

from unabridged.compression.evidence import ENOUGH
from unabridged.compression.prompt import Span
from unabridged.compression.words import WORD, inside, is_josa, pattern, script
from unabridged.recovery.code import Code
from unabridged.recovery.index import Form, Index
from unabridged.recovery.shorten import Shortening

MOST_HELD_WORDS = 21
"""Words of a text that are held back at most: the longest shortening, and what another one could
go on with behind it. Two or three are usual."""

_GAP = regex.compile(r"[ \t\u00a0\u202f]{0,8}+(?:\n(?![ \t]*\n))?[ \t\u00a0]{0,8}+")
_NUMBERS_BEFORE = regex.compile(r"\[(?:\d{1,4}[,;] ?){0,9}$")
_NUMBERS_BEHIND = regex.compile(r"(?:[,;] ?\d{1,4}){0,9}\]")
_HANGUL = regex.compile(r"[\p{Hangul}\p{M}]*")
_BINDERS = frozenset("-_/@\\#=&%~+|<>")
_SIGNS = frozenset("%‰°(℃℉")
_MEMORY = 200
_APART = 4
"""Characters that may stand between a shortened form and the word behind it."""
_MOST_REFUSALS = 100

Word: TypeAlias = "regex.Match[str] | re.Match[str]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of the response that was restored, or that looked like one and was not."""

    start: int
    end: int
    """Where it stood in the response, in characters."""
    was: str
    now: str
    """What stands there now; equal to `was` for a refusal."""
    source: tuple[int, Span]
    """Index of the segment of the request, and the span of its original text."""
    why: str


class _More(Exception):
    """What has arrived does not suffice to decide."""


class TextRestorer:
    """Restores one text. Feed it the pieces, then flush; `edits` and `refusals` tell what was
    done. At most MOST_HELD_WORDS words are held back, and only where they may be the beginning
    of something to restore. `value` says that the text is a string value of a JSON text."""

    def __init__(self, index: Index, *, value: bool = False) -> None:
        self.index = index
        self.edits: list[Piece] = []
        self.refusals: list[Piece] = []
        self._value = value
        self._held = ""
        self._at = 0
        """Offset in the response of the first held character."""
        self._tail = ""
        """The end of what was given back."""
        self._code = Code()
        self._final = False

    @property
    def decided(self) -> int:
        """Characters of the response that have been given back or replaced."""
        return self._at

    @property
    def holds(self) -> int:
        """Characters of the text that have not been given back yet."""
        return len(self._held)

    def feed(self, piece: str) -> str:
        """The text that is decided, which may begin earlier and end earlier than `piece`."""
        if self.index.empty:
            self._at += len(piece)
            return piece
        self._held += piece
        return self._decide()

    def flush(self) -> str:
        """The rest of the text. Nothing can be fed after it."""
        self._final = True
        return self._decide()

    def _decide(self) -> str:
        text, at, done = self._held, 0, 0
        out: list[str] = []
        while (found := self._next(text, at)) is not None:
            start, at = found.span()
            if start == 0 and self._tail and inside(self._tail[-1], text[0]):
                continue
            word = found.group()
            if script(word[0]) == "h":
                word = word[0]
            elif at == len(text) and not self._final and self.index.may_begin(word):
                at = start
                break
            forms = self.index.by_head.get(word, ())
            if not forms and word not in self.index.citations:
                continue
            self._release(text[done:start], out)
            done = start
            try:
                edit = self._citation(text, start, word) or self._edit(text, start, forms)
            except _More:
                at = start
                break
            if edit is not None:
                self.edits.append(edit)
                self._give(edit.now, len(edit.was), out)
                done = at = start + len(edit.was)
        end = len(text) if found is None else at
        self._release(text[done:end], out)
        self._held = text[end:]
        return "".join(out)

    def _next(self, text: str, at: int) -> Word | None:
        """The next word that something may begin with, or that may not have arrived whole."""
        heads, citations, last = self.index.by_head, self.index.citations, len(text)
        for found in pattern(text).finditer(text, at):
            word = found.group()
            if word in heads or word in citations:
                return found
            if found.end() == last or (self.index.unspaced and script(word[0]) == "h"):
                return found
        return None

    def _release(self, text: str, out: list[str]) -> None:
        if text:
            self._code.read(text)
            self._give(text, len(text), out)

    def _give(self, text: str, read: int, out: list[str]) -> None:
        out.append(text)
        self._at += read
        self._tail = (self._tail + text)[-_MEMORY:]

    def _citation(self, text: str, start: int, number: str) -> Piece | None:
        """A number in square brackets, alone or among others."""
        cited = self.index.citations.get(number)
        if cited is None or self._code.fenced or self._code.inline or self._in_url():
            return None
        end = start + len(number)
        behind = _NUMBERS_BEHIND.match(text, end, partial=not self._final)
        if behind is None or not _NUMBERS_BEFORE.search(self._tail):
            return None
        if behind.partial:
            raise _More
        return Piece(
            start=self._at,
            end=self._at + len(number),
            was=number,
            now=cited.number,
            source=cited.source,
            why="the document at this place of what was sent has this number in the request",
        )

    def _edit(self, text: str, start: int, forms: tuple[Form, ...]) -> Piece | None:
        if self._code.fenced or self._in_url():
            return None
        for form in forms:
            if not self._opens(form, text[start]):
                continue
            end = self._match(form.parts, text, start)
            if end is None or not self._closes(form, text, end):
                continue
            if self._would_go_on(form, text, end):
                continue
            reading, why = self._choose(form, text, end)
            was = text[start:end]
            if why and self._wording(reading, form.lead, text, end) == was:
                continue
            piece = Piece(
                start=self._at,
                end=self._at + end - start,
                was=was,
                now=self._wording(reading, form.lead, text, end) if why else was,
                source=(reading.segment, reading.span),
                why=why or "the words around it do not show that it was copied from there",
            )
            if why:
                return piece
            if len(self.refusals) < _MOST_REFUSALS:
                self.refusals.append(piece)
        return None

    def _in_url(self) -> bool:
        token = (
            self._tail.rsplit(None, 1)[-1] if self._tail and not self._tail[-1].isspace() else ""
        )
        return "://" in token or "www." in token

    def _opens(self, form: Form, first: str) -> bool:
        """True if a shortening may begin where a word that begins with `first` begins."""
        tail, kind = self._tail, form.readings[0].kind
        if self._code.inline and kind not in ("identifier", "path", "url"):
            return False
        if form.lead:
            if not tail.endswith(form.lead):
                return False
            tail = tail[: -len(form.lead)]
        last = tail[-1:]
        if not last:
            return True
        if last in _BINDERS or (first.isdigit() and unicodedata.category(last) == "Sc"):
            return False
        if last in ".,:" and len(tail) > 1 and script(tail[-2]) == "a":
            return False
        return not form.readings[0].evidence.unit or last not in "[#№"

    def _would_go_on(self, form: Form, text: str, end: int) -> bool:
        """True if what it is restored to would make another form with the words around it."""
        if form.not_after:
            before = " ".join(self._tail.split()) if self._tail[-1:].isspace() else ""
            if before and before.endswith(form.not_after):
                return True
        for words in form.not_before:
            gap = _GAP.match(text, end)
            at = gap.end() if gap else end
            if at == len(text) and not self._final:
                raise _More
            if at > end and self._match(words, text, at) is not None:
                return True
        return False

    def _match(self, parts: tuple[str, ...], text: str, start: int) -> int | None:
        """Where the words that begin at `start` end, None if they do not stand there."""
        at = start
        for n, part in enumerate(parts):
            if n:
                gap = _GAP.match(text, at)
                behind = gap.end() if gap else at
                if behind == len(text) and not self._final:
                    raise _More
                if behind == at:
                    return None
                at = behind
            if not text.startswith(part, at):
                if not self._final and part.startswith(text[at:]):
                    raise _More
                return None
            at += len(part)
        return at

    def _closes(self, form: Form, text: str, end: int) -> bool:
        """True if a shortening may end at `end`."""
        if end == len(text):
            if not self._final:
                raise _More
            return not self._bare(form, text, end)
        after = text[end]
        if inside(text[end - 1], after):
            return script(after) == "h" and self._josa(text, end)
        if after in _BINDERS:
            return False
        if after in ".,:":
            if end + 1 == len(text) and not self._final:
                raise _More
            following = text[end + 1 : end + 2]
            if following and script(following) == "a" and (after != "," or following.isdigit()):
                return False
        return True

    def _josa(self, text: str, end: int) -> bool:
        found = _HANGUL.match(text, end, end + 6)
        tail = found.group() if found else ""
        if len(tail) < 6 and end + len(tail) == len(text) and not self._final:
            raise _More
        return len(tail) < 6 and is_josa(tail)

    def _bare(self, form: Form, text: str, end: int) -> bool:
        # A JSON string that is a number and nothing else stays one.
        return self._value and self._at == 0 and not form.lead and form.readings[0].evidence.unit

    def _choose(self, form: Form, text: str, end: int) -> tuple[Shortening, str]:
        """The entity that a shortening was left of, and why; no reason if none is certain."""
        first = form.readings[0]
        if not form.ambiguous and first.evidence.unit:
            return first, self._unit(first, text, end)
        if not form.ambiguous and first.evidence.or_end:
            return first, self._ending(first, text, end)
        if not form.ambiguous and first.evidence == ENOUGH:
            return first, f"{first.kind} cut inside; nothing else in the request reads so"
        scored = [(self._agreement(one, text, end), n, one) for n, one in enumerate(form.readings)]
        best = max(scored, key=lambda each: (each[0], -each[1]))
        score, _, reading = best
        if score < max(1, reading.evidence.words):
            return reading, ""
        if any(s == score and one.core != reading.core for s, _, one in scored):
            return reading, ""
        if reading.evidence.unit:
            return reading, self._unit(reading, text, end)
        return reading, f"{reading.kind} cut inside; {score} words around it agree"

    def _ending(self, reading: Shortening, text: str, end: int) -> str:
        """Why a name in a script without spaces is taken to end here."""
        after = text[end : end + 1]
        if script(after) == "c" and after not in reading.after[:1]:
            return ""
        return "name cut inside; what follows is what followed it, or no part of a word"

    def _wording(self, reading: Shortening, lead: str, text: str, end: int) -> str:
        """What is written for a shortening: the words that stood before and behind what is left
        too, unless the response has a name or number of its own there."""
        if reading.full == reading.core or not reading.core.startswith(lead):
            return reading.full[len(lead) :]
        at = reading.full.find(reading.core)
        first, last = reading.full[:at], reading.full[at + len(reading.core) :]
        if first and (lead or _named(self._last_word())):
            first = ""
        if last:
            gap = _GAP.match(text, end)
            behind = gap.end() if gap else end
            if behind == len(text) and not self._final:
                raise _More
            if behind > end and _named(text[behind : behind + 1]):
                last = ""
        return first + reading.core[len(lead) :] + last

    def _last_word(self) -> str:
        """The word right before, if nothing but white space lies between."""
        words = WORD.findall(self._tail[-40:])
        return words[-1] if words and self._tail.rstrip().endswith(words[-1]) else ""

    def _unit(self, reading: Shortening, text: str, end: int) -> str:
        """Why a number may get its unit back: no other word stands where the unit stood."""
        gap = _GAP.match(text, end)
        at = gap.end() if gap else end
        if at == len(text) and not self._final:
            raise _More
        after = text[at : at + 1]
        if after and (script(after) or after in _SIGNS or unicodedata.category(after) == "Sc"):
            return ""
        return "unit cut behind the number; the number stands nowhere else"

    def _agreement(self, reading: Shortening, text: str, end: int) -> int:
        """How many words around the shortening agree; 0 if none of them is telling or if the
        one behind has to and does not."""
        agreeing: list[str] = []
        words = WORD.findall(self._tail[-60:])
        for mine, theirs in zip(reversed(reading.before), reversed(words), strict=False):
            if mine.casefold() != theirs.casefold():
                break
            agreeing.append(mine)
        enough = len(agreeing) >= max(1, reading.evidence.words) and not reading.telling.isdisjoint(
            agreeing
        )
        if enough and not reading.evidence.behind:
            return len(agreeing)
        behind = self._behind(reading, text, end)
        agreeing.extend(reading.after[:behind])
        if reading.telling.isdisjoint(agreeing) or (reading.evidence.behind and not behind):
            return 0
        return len(agreeing)

    def _behind(self, reading: Shortening, text: str, end: int) -> int:
        at = end
        for n, mine in enumerate(reading.after):
            found = WORD.search(text, at, at + _APART + len(mine) + 1)
            if found is None or found.start() > at + _APART:
                if found is None and not self._final and len(text) <= at + _APART:
                    raise _More
                return n
            theirs, at = found.group(), found.end()
            if (
                at == len(text)
                and not self._final
                and mine.casefold().startswith(theirs.casefold())
            ):
                raise _More
            if mine.casefold() != theirs.casefold():
                return n
        return len(reading.after)


def _named(word: str) -> bool:
    return word[:1].isupper() or word[:1].isdigit()
