"""Everything that was cut inside a request, ready to be found in its answer."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile

from unabridged.compression.evidence import ENOUGH, Known
from unabridged.compression.prompt import Compressed, Span
from unabridged.compression.vocabulary import Vocabulary
from unabridged.compression.words import WORD, inside, script, words_of
from unabridged.recovery import citations
from unabridged.recovery.align import align
from unabridged.recovery.citations import Citation
from unabridged.recovery.cuts import Cuts
from unabridged.recovery.shorten import Shortening, shortenings, squeeze, with_neighbours


def head(text: str) -> str:
    """What a shortening is found by: its first word, or its first character in a script whose
    words can go on without a space."""
    found = WORD.search(text)
    if found is None:
        return ""
    word: str = found.group()
    return word[0] if script(word[0]) == "h" else word


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What is left of one or more entities, as it reads in the compressed text."""

    lead: str
    """What stands before its first word, such as a currency sign or a slash."""
    parts: tuple[str, ...]
    """The rest, cut at white space."""
    readings: tuple[Shortening, ...]
    """The entities that this can be left of."""
    ambiguous: bool
    """True if they are not all the same entity."""
    not_before: tuple[tuple[str, ...], ...] = ()
    """Words that must not stand behind it: with what it is restored to they would be another
    form, which a second pass would restore."""
    not_after: tuple[str, ...] = ()
    """Words that must not stand before it, for the same reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The shortenings of one request, over all its messages, documents and tool outputs."""

    by_head: dict[str, tuple[Form, ...]] = field(default_factory=dict)
    """By its first word, what is left of entities; the longest first."""
    heads: tuple[str, ...] = ()
    """The keys of `by_head`, sorted."""
    unspaced: bool = False
    """True if one of them is of a script whose words can go on without a space."""
    citations: Mapping[str, Citation] = field(default_factory=dict)
    """What numbers such as [2] become."""

    @classmethod
    def build(
        cls, compressed: Compressed, known: Known | None = None, *, by_place: bool = False
    ) -> Index:
        """The index of a request, from its kept spans alone; linear in their number.

        `known` tells whether a string is a word of its own in some language. With it, the rest
        of a single cut word is restored without a word beside it that agrees. `by_place`: numbers
        such as [2] in an answer count the documents as they were sent.
        """
        texts = [segment.text for segment in compressed.prompt.segments]
        index = cls.of_spans(texts, compressed.kept, known)
        return replace(index, citations=citations.by_place(compressed)) if by_place else index

    @classmethod
    def of_texts(cls, original: str, compressed: str, known: Known | None = None) -> Index:
        """The index of one text when all there is are the two strings."""
        return cls.of_spans([original], [align(original, compressed)], known)

    @classmethod
    def of_spans(
        cls, texts: Sequence[str], kept: Sequence[Sequence[Span]], known: Known | None = None
    ) -> Index:
        """The index of several texts with the kept spans of each."""
        if all(
            spans == ((0, len(text)),) or not spans for text, spans in zip(texts, kept, strict=True)
        ):
            return cls()
        vocabulary = Vocabulary(texts)
        cuts = [Cuts(text, spans) for text, spans in zip(texts, kept, strict=True)]
        found = [
            short
            for i, cut in enumerate(cuts)
            if cut.edges
            for short in shortenings(cut, i, vocabulary, known)
        ]
        return _indexed(_clear(found, cuts, vocabulary))

    @property
    def empty(self) -> bool:
        """True if there is nothing that could be restored."""
        return not self.heads and not self.citations

    def may_begin(self, part: str) -> bool:
        """True if the first word of a shortening, or a citation, may begin with `part`."""
        if self.citations and part.isdigit():
            return True
        at = bisect_left(self.heads, part)
        return at < len(self.heads) and self.heads[at].startswith(part)


def _clear(
    found: Iterable[Shortening], cuts: Sequence[Cuts], vocabulary: Vocabulary
) -> dict[str, list[Shortening]]:
    """By what is left, without what also stands somewhere in its own right."""
    groups: dict[str, list[Shortening]] = {}
    for one in found:
        groups.setdefault(one.short, []).append(one)
    texts = _Texts(cuts)
    firsts = {head(one.full) for group in groups.values() for one in group}
    clear: dict[str, list[Shortening]] = {}
    for short, readings in groups.items():
        fulls = {one.full for one in readings}
        whole = all(word in vocabulary.counts for word in words_of(short))
        if whole and texts.stands_apart(short, fulls):
            continue
        if texts.shown_otherwise(short, groups):
            continue
        if len(fulls) > 1:
            readings = [with_neighbours(one, cuts[one.segment], vocabulary) for one in readings]
        elif readings[0].evidence == ENOUGH:
            readings = [texts.settled(readings[0])]
        usable = [near for one in readings if (near := _without(firsts, one))]
        if usable:
            clear[short] = usable
    return clear


def _without(firsts: set[str], one: Shortening) -> Shortening | None:
    # The word behind must not be one that recovery itself may change: a second pass over the
    # restored text would then agree where the first did not.
    after = tuple(takewhile(lambda word: word not in firsts, one.after))
    if one.evidence.behind and not after:
        return None
    if len(one.before) + len(after) < one.evidence.words:
        return None
    return one if after == one.after else replace(one, after=after)


class _Texts:
    """The originals and what was sent of them, to look for a phrase in; squeezed when needed."""

    def __init__(self, cuts: Sequence[Cuts]) -> None:
        self._cuts = cuts

    @cached_property
    def _original(self) -> str:
        return squeeze("\n".join(cut.text for cut in self._cuts))

    @cached_property
    def _shown(self) -> str:
        return squeeze("\n".join(cut.shown for cut in self._cuts))

    def stands_apart(self, short: str, fulls: set[str]) -> bool:
        """True if `short` occurs in an original outside of every one of `fulls`."""
        if short not in self._original:
            return False
        own = sum(self._original.count(f) * _occurrences(f, short) for f in fulls)
        return _more_often(self._original, short, own)

    def settled(self, one: Shortening) -> Shortening:
        """The shortening, without what surrounds its core if the core also stands elsewhere
        without it."""
        if one.full == one.core:
            return one
        if self._original.count(one.core) == self._original.count(one.full):
            return one
        return replace(one, full=one.core)

    def shown_otherwise(self, short: str, groups: Mapping[str, list[Shortening]]) -> bool:
        """True if `short` also reads so in what was sent where it is not left of an entity."""
        own = {(one.segment, one.span) for one in groups[short]}
        if not _more_often(self._shown, short, len(own)):
            return False
        core = groups[short][0].core
        for other, group in groups.items():
            if len(other) > len(short) and short in other and core in group[0].full:
                own |= {(one.segment, one.span) for one in group if not _holds_any(one, own)}
        return _more_often(self._shown, short, len(own))


def _holds_any(one: Shortening, places: set[tuple[int, Span]]) -> bool:
    start, end = one.span
    return any(segment == one.segment and start <= a and b <= end for segment, (a, b) in places)


def _more_often(text: str, phrase: str, often: int) -> bool:
    return text.count(phrase) > often and _occurrences(text, phrase) > often


def _occurrences(text: str, phrase: str) -> int:
    """How often a phrase stands in a text as whole words."""
    found, at, length = 0, text.find(phrase), len(phrase)
    while at >= 0:
        end = at + length
        begins = not at or not inside(text[at - 1], text[at])
        # A Korean word goes on with its particle, and is the same word.
        ends = end == len(text) or script(text[end]) == "h" or not inside(text[end - 1], text[end])
        found += begins and ends
        at = text.find(phrase, end)
    return found


def _agreed(readings: list[Shortening]) -> list[Shortening]:
    """Where entities differ in what surrounds the same core, the core is all that is certain."""
    if len({one.full for one in readings}) > 1 and len({one.core for one in readings}) == 1:
        return [replace(one, full=one.core) for one in readings]
    return readings


@dataclass(slots=True)
class _Bounds:
    """What must not stand around a form, see Form."""

    behind: set[str] = field(default_factory=set)
    before: set[str] = field(default_factory=set)


def _bounds(readings: dict[str, list[Shortening]]) -> dict[str, _Bounds]:
    """For each form what would make another one begin or end inside what it is restored to: a
    second pass over the restored text would find that one."""
    begins: dict[str, set[str]] = {}
    ends: dict[str, set[str]] = {}
    for short in readings:
        for at in _spaces(short):
            begins.setdefault(short[:at], set()).add(short[at + 1 :])
            ends.setdefault(short[at + 1 :], set()).add(short[:at])
    bounds: dict[str, _Bounds] = {}
    for short, full in {
        (one.short, text)
        for group in (readings.values() if begins else ())
        for one in group
        for text in (one.full, one.core)
    }:
        # What the form had before is found in the first pass already.
        spaces = _spaces(full)
        for tail in (full, *(full[at + 1 :] for at in spaces)):
            if tail in begins and not short.endswith(tail):
                bounds.setdefault(short, _Bounds()).behind |= begins[tail]
        for start in (full, *(full[:at] for at in spaces)):
            if start in ends and not short.startswith(start):
                bounds.setdefault(short, _Bounds()).before |= ends[start]
    return bounds


def _spaces(text: str) -> list[int]:
    return [at for at, char in enumerate(text) if char == " "]


def _indexed(readings: dict[str, list[Shortening]]) -> Index:
    by_head: dict[str, list[Form]] = {}
    bounds = _bounds(readings)
    free = _Bounds()
    for short in sorted(readings, key=len, reverse=True):
        found = _agreed(readings[short])
        first = head(short)
        lead = short[: short.index(first)]
        if not all(one.full.startswith(lead) for one in found):
            continue
        form = Form(
            lead=lead,
            parts=tuple(short[len(lead) :].split(" ")),
            readings=tuple(found),
            ambiguous=len({one.core for one in found}) > 1,
            not_before=tuple(tuple(words.split(" ")) for words in bounds.get(short, free).behind),
            not_after=tuple(bounds.get(short, free).before),
        )
        by_head.setdefault(first, []).append(form)
    return Index(
        by_head={first: tuple(forms) for first, forms in by_head.items()},
        heads=tuple(sorted(by_head)),
        unspaced=any(script(first) == "h" for first in by_head),
    )
