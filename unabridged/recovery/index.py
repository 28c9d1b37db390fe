"""Everything that was cut inside a request, ready to be found in its answer."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile

from unabridged.compression.prompt import Compressed, Span
from unabridged.recovery.align import align
from unabridged.recovery.shorten import Cuts, Known, Shortening, Vocabulary, shortenings, squeeze
from unabridged.recovery.words import WORD, script


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The shortenings of one request, over all its messages, documents and tool outputs."""

    by_head: dict[str, tuple[Form, ...]] = field(default_factory=dict)
    """By its first word, what is left of entities; the longest first."""
    heads: tuple[str, ...] = ()
    """The keys of `by_head`, sorted."""

    @classmethod
    def build(cls, compressed: Compressed, known: Known | None = None) -> Index:
        """The index of a request, from its kept spans alone; linear in their number.

        `known` tells whether a string is a word of its own in some language. With it, the rest
        of a single cut word is restored without a word beside it that agrees.
        """
        segments = compressed.prompt.segments
        return cls.of_spans([s.text for s in segments], compressed.kept, known)

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
        vocabulary = Vocabulary.of(texts)
        cuts = [Cuts(text, spans) for text, spans in zip(texts, kept, strict=True)]
        found = [
            short
            for i, cut in enumerate(cuts)
            if cut.edges
            for short in shortenings(cut, i, vocabulary, known)
        ]
        return _indexed(_clear(found, texts, cuts))

    def may_begin(self, part: str) -> bool:
        """True if the first word of a shortening may begin with `part`."""
        at = bisect_left(self.heads, part)
        return at < len(self.heads) and self.heads[at].startswith(part)


def _clear(
    found: Iterable[Shortening], texts: Sequence[str], cuts: Sequence[Cuts]
) -> dict[str, list[Shortening]]:
    """By what is left, without what also stands somewhere in its own right."""
    groups: dict[str, list[Shortening]] = {}
    for one in found:
        groups.setdefault(one.short, []).append(one)
    flat = squeeze("\n".join(texts))
    shown = squeeze("\n".join(cut.shown for cut in cuts))
    firsts = {head(one.full) for one in found}
    clear: dict[str, list[Shortening]] = {}
    for short, readings in groups.items():
        fulls = {one.full for one in readings}
        if flat.count(short) > sum(flat.count(full) * full.count(short) for full in fulls):
            continue
        if shown.count(short) > len(readings) + sum(shown.count(f) * f.count(short) for f in fulls):
            continue
        usable = [one for one in map(partial(_without, firsts), readings) if one is not None]
        if usable:
            clear[short] = usable
    return clear


def _without(firsts: set[str], one: Shortening) -> Shortening | None:
    # The word behind must not be one that recovery itself may change: a second pass over the
    # restored text would then agree where the first did not.
    after = tuple(takewhile(lambda word: word not in firsts, one.after))
    if one.follows and not after:
        return None
    return one if after == one.after else replace(one, after=after)


def _indexed(readings: dict[str, list[Shortening]]) -> Index:
    by_head: dict[str, list[Form]] = {}
    for short in sorted(readings, key=len, reverse=True):
        found = readings[short]
        first = head(short)
        lead = short[: short.index(first)]
        if not all(one.full.startswith(lead) for one in found):
            continue
        form = Form(
            lead=lead,
            parts=tuple(short[len(lead) :].split(" ")),
            readings=tuple(found),
            ambiguous=len({one.full for one in found}) > 1,
        )
        by_head.setdefault(first, []).append(form)
    return Index(
        by_head={first: tuple(forms) for first, forms in by_head.items()},
        heads=tuple(sorted(by_head)),
    )
