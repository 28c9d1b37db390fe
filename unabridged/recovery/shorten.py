"""Which entities of one text were cut inside, and how what is left of them reads."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from unabridged.compression.entities import (
    MOST_WORDS,
    Entity,
    EntityKind,
    entities,
    opening,
    quotes,
)
from unabridged.compression.evidence import (
    BEHIND_OR_END,
    ENOUGH,
    ONE,
    Evidence,
    Known,
    Remains,
    evidence,
)
from unabridged.compression.prompt import Span
from unabridged.compression.vocabulary import Vocabulary
from unabridged.compression.words import inside, script, without_josa, words_of
from unabridged.recovery.cuts import Cuts

_ATOMIC = ("identifier", "path", "url", "number", "unit")
MOST_CUT_OF_A_NAME = 4
"""Characters of a Chinese name that are put back at most: none is longer."""
_BOUNDS = '“”„«»「」『』《》"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortening:
    """An entity of the original and what compression left of it."""

    short: str
    """As it reads in the compressed text; runs of white space are one space."""
    full: str
    """As it reads in the original; runs of white space are one space."""
    kind: EntityKind
    segment: int
    """Index of the segment that it stands in."""
    span: Span
    """Where `full` stands in the segment's original text."""
    core: str
    """The part of `full` from the first word of which something was kept to the last one. The
    rest is not put back where the response has words of its own in its place."""
    evidence: Evidence
    before: tuple[str, ...] = ()
    """Up to two words that stand right before it in the original and in the compressed text."""
    after: tuple[str, ...] = ()
    """Up to two words that stand right behind it in both."""
    telling: frozenset[str] = frozenset()
    """Those of `before` and `after` that are rare enough to show where a response copied."""


def squeeze(text: str) -> str:
    """The text with every run of white space as one space, none at the ends."""
    return " ".join(text.split())


def shortenings(
    cuts: Cuts, segment: int, vocabulary: Vocabulary, known: Known | None
) -> Iterator[Shortening]:
    """What compression left of each entity of one text that it cut inside."""
    taken = entities(cuts.text, cuts.edges)
    taken.extend(one for one in quotes(cuts.text) if cuts.touched(one.start, one.end))
    taken.extend(_cut_words(cuts, taken))
    for entity in taken:
        if entity.kind == "name" and _only_whole_words(entity, cuts):
            continue
        for one in _readings(entity, cuts, vocabulary):
            found = _shortening(one, cuts, segment, vocabulary, known)
            if found is None:
                continue
            if found.evidence != ENOUGH:
                found = with_neighbours(found, cuts, vocabulary)
                if not _can_agree(found):
                    continue
            yield found


def _only_whole_words(entity: Entity, cuts: Cuts) -> bool:
    """True if one stretch of whole words is left, and nothing right behind the name: most names
    that are cut at all, and there is no telling whether a response copied what is left."""
    pieces = cuts.within(entity.start, entity.end)
    if len(pieces) != 1:
        return not pieces
    (start, end), text = pieces[0], cuts.text
    if start > entity.start and inside(text[start - 1], text[start]):
        return False
    if end < len(text) and inside(text[end - 1], text[end]):
        return False
    return not cuts.within(entity.end, entity.end + 4)


def _can_agree(one: Shortening) -> bool:
    if one.evidence.behind and not one.after:
        return False
    return len(one.before) + len(one.after) >= one.evidence.words


def _cut_words(cuts: Cuts, taken: list[Entity]) -> list[Entity]:
    """The words that were cut inside and belong to no entity."""
    covered = sorted((e.start, e.end) for e in taken if e.kind != "quote")
    starts = [start for start, _ in covered]
    text, last = cuts.text, -1
    found: list[Entity] = []
    for edge in cuts.edges:
        if edge < last or text[edge] == " " or not inside(text[edge - 1], text[edge]):
            continue
        i = bisect_right(starts, edge) - 1
        if i >= 0 and covered[i][1] > edge:
            continue
        start, last = _word_around(text, edge)
        found.append(Entity("word", start, last))
    return found


def _word_around(text: str, at: int) -> Span:
    start = end = at
    while start and inside(text[start - 1], text[start]):
        start -= 1
    while end < len(text) and inside(text[end - 1], text[end]):
        end += 1
    return start, end


def _readings(entity: Entity, cuts: Cuts, vocabulary: Vocabulary) -> Iterator[Entity]:
    """The entity; without its first word where that may only begin a sentence: a capital there
    does not make "While" a part of the name behind it; and no more of it than what was cut with
    the words beside it, for a name may hold another one (Bank of China Tower)."""
    if entity.kind != "name":
        yield entity
        return
    if script(cuts.text[entity.start]) == "c":
        yield from _han_name(entity, cuts)
        return
    opened = opening(cuts.text, entity)
    if opened is None or opened[0].lower() not in vocabulary.counts:
        yield entity
    if opened is not None:
        yield opened[1]
    inner = _around_cuts(entity, cuts)
    if inner not in (None, entity, opened and opened[1]):
        yield inner


def _around_cuts(entity: Entity, cuts: Cuts) -> Entity | None:
    """What was cut between the words of a name, and the words beside it; None if nothing was, or
    if nothing else of the name is left."""
    pieces = cuts.within(entity.start, entity.end)
    if len(pieces) < 2:
        return None
    text, gap, behind = cuts.text, pieces[0][1], pieces[-1][0]
    first = entity.start + len(text[entity.start : gap].rstrip()) - 1
    last = entity.end - len(text[behind : entity.end].lstrip()) + 1
    if first < entity.start or last > entity.end:
        return None
    if not (script(text[first]) and script(text[last - 1])):
        return None  # a mark alone is left at the cut
    start, end = _word_around(text, first)[0], _word_around(text, last)[1]
    more = text[pieces[0][0] : start] + text[end : pieces[-1][1]]
    return Entity("name", start, end) if more.strip() else None


def _han_name(entity: Entity, cuts: Cuts) -> Iterator[Entity]:
    """A name written with dots, in a text that does not show where it ends: up to the end of the
    first gap behind its last dot."""
    dot = max(cuts.text.rfind(mark, entity.start, entity.end) for mark in "·・‧•")
    pieces = cuts.within(entity.start, entity.end)
    for (_, gap), (behind, _) in pairwise(pieces):
        if gap > dot + 1:
            if behind - gap <= MOST_CUT_OF_A_NAME:
                yield Entity("name", entity.start, behind)
            return


def _shortening(
    entity: Entity, cuts: Cuts, segment: int, vocabulary: Vocabulary, known: Known | None
) -> Shortening | None:
    pieces = cuts.within(entity.start, entity.end)
    if not pieces or pieces[0] == (entity.start, entity.end):
        return None
    if entity.kind == "quote":
        entity = _without_lost_marks(entity, cuts.text, pieces)
    text, (start, end) = cuts.text, (entity.start, entity.end)
    short = _written("".join([text[a:b] for a, b in pieces]), entity.kind)
    full = _written(text[start:end], entity.kind)
    if not short or len(full.split()) > MOST_WORDS:
        return None
    in_hangul = script(short[-1]) == "h" and _core(text, entity, pieces)[1] == end
    if in_hangul:
        full, short = _stems(full, short)
    if short == full:
        return None
    runs = words_of(short)
    if not runs or runs == words_of(full):
        return None
    shown = Remains(short=short, full=full, kind=entity.kind, runs=runs)
    found = evidence(shown, vocabulary, known)
    if found is None or not _stands_alone(cuts, pieces[0][0], pieces[-1][1]):
        return None
    if entity.kind == "name" and script(short[-1]) == "c":
        found = BEHIND_OR_END
    inner = _core(text, entity, pieces)
    core = _written(text[slice(*inner)], entity.kind)
    if in_hangul:
        core = _stems(core, core)[0]
    if found == ONE:
        full, (start, end) = core, inner
    return Shortening(
        short=short,
        full=full,
        core=core,
        kind=entity.kind,
        segment=segment,
        span=(start, end),
        evidence=found,
    )


def _without_lost_marks(quote: Entity, text: str, pieces: list[Span]) -> Entity:
    """The quotation without the marks at an end of it of which nothing was kept: they may stand
    in the response all the same."""
    start, end = quote.start, quote.end
    while start < end and not script(text[start]):
        start += 1
    while start < end and not script(text[end - 1]):
        end -= 1
    start = start if pieces[0][0] >= start else quote.start
    end = end if pieces[-1][1] <= end else quote.end
    return Entity("quote", start, end)


def _written(text: str, kind: EntityKind) -> str:
    """As a model writes it: it does not copy the space a dropped word has left in quotes."""
    text = squeeze(text)
    if kind == "quote":
        if text[:1] in _BOUNDS:
            text = text[:1] + text[1:].lstrip()
        if text[-1:] in _BOUNDS:
            text = text[:-1].rstrip() + text[-1:]
    return text


def _core(text: str, entity: Entity, pieces: list[Span]) -> Span:
    """From the first word of which something was kept to the last one; all of a thing that
    means nothing in parts."""
    if entity.kind in (*_ATOMIC, "quote", "word"):
        return entity.start, entity.end
    start, end = pieces[0][0], pieces[-1][1]
    while start > entity.start and inside(text[start - 1], text[start]):
        start -= 1
    while end < entity.end and inside(text[end - 1], text[end]):
        end += 1
    return start, end


def _stems(full: str, short: str) -> tuple[str, str]:
    """A Korean name without its particle, whole and as it was left."""
    head = full.rsplit(" ", 1)[-1]
    stem = without_josa(head, 2)
    particle = head[len(stem) :]
    if particle:
        full = full[: -len(particle)]
        if short.endswith(particle):
            short = short[: -len(particle)]
    return full, short


def _stands_alone(cuts: Cuts, start: int, end: int) -> bool:
    """True if what is left does not run into the words around it in the compressed text."""
    shown, at, stop = cuts.shown, cuts.place(start), cuts.place(end - 1) + 1
    if at and inside(shown[at - 1], shown[at]):
        return False
    return not (stop < len(shown) and inside(shown[stop - 1], shown[stop]))


def with_neighbours(one: Shortening, cuts: Cuts, vocabulary: Vocabulary) -> Shortening:
    """The shortening with the words around it that were kept beside it."""
    start, end = one.span
    text = cuts.text
    before: list[str] = []
    for found in reversed(list(cuts.words.finditer(text, max(0, start - 40), start))[-2:]):
        if not cuts.covers(*found.span()):
            break
        before.insert(0, found.group())
    after: list[str] = []
    for found in cuts.words.finditer(text, end, min(len(text), end + 60)):
        if len(after) == 2 or not cuts.covers(*found.span()):
            break
        after.append(found.group())
    telling = frozenset(word for word in (*before, *after) if vocabulary.telling(word))
    return replace(one, before=tuple(before), after=tuple(after), telling=telling)
