"""Which entities of one text were cut inside, and how what is left of them reads."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from unabridged.compression.prompt import Span
from unabridged.recovery.entities import MOST_WORDS, Entity, EntityKind, entities, quotes
from unabridged.recovery.words import WORD, inside, script, without_josa

Known = Callable[[str], bool]
"""Tells whether a string is a word of its own in some language."""


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
    before: tuple[str, ...] = ()
    """Up to two words that stand right before it in the original and in the compressed text."""
    after: tuple[str, ...] = ()
    """Up to two words that stand right behind it in both."""
    telling: frozenset[str] = frozenset()
    """Those of `before` and `after` that are rare enough to show where a response copied."""
    needs: int = 0
    """Words around it that have to agree before a response is taken to have copied it: 0 where
    what is left could not have been written by anybody who saw the whole."""
    follows: bool = False
    """True if one of the agreeing words has to be the one behind it."""


class Cuts:
    """The kept spans of one text, with the questions that recovery asks about them."""

    def __init__(self, text: str, kept: Sequence[Span]) -> None:
        self.text = text
        self.starts = [start for start, _ in kept]
        self.ends = [end for _, end in kept]
        self.edges = sorted({*self.starts, *self.ends} - {0, len(text)})
        pieces = [text[start:end] for start, end in kept]
        self.shown = "".join(pieces)
        self.offsets: list[int] = []
        at = 0
        for piece in pieces:
            self.offsets.append(at)
            at += len(piece)

    def within(self, start: int, end: int) -> list[Span]:
        """The kept pieces of a stretch."""
        found = []
        for i in range(bisect_right(self.ends, start), len(self.starts)):
            if self.starts[i] >= end:
                break
            found.append((max(start, self.starts[i]), min(end, self.ends[i])))
        return found

    def place(self, offset: int) -> int:
        """Where a kept character of the text stands in the compressed text."""
        i = bisect_right(self.starts, offset) - 1
        return self.offsets[i] + offset - self.starts[i]

    def covers(self, start: int, end: int) -> bool:
        """True if a stretch is kept whole."""
        i = bisect_right(self.starts, start) - 1
        return i >= 0 and self.ends[i] >= end

    def touched(self, start: int, end: int) -> bool:
        """True if a kept span begins or ends strictly inside a stretch."""
        i = bisect_right(self.edges, start)
        return i < len(self.edges) and self.edges[i] < end


def squeeze(text: str) -> str:
    """The text with every run of white space as one space, none at the ends."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of all the originals, and how often each occurs."""

    counts: Counter[str]
    folded: frozenset[str]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Vocabulary:
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(WORD.findall(text))
        return cls(counts, frozenset(map(str.casefold, counts)))

    def has(self, word: str) -> bool:
        return word in self.counts or word.casefold() in self.folded

    def telling(self, word: str) -> bool:
        enough = 4 if script(word[0]) == "a" else 2
        return len(word) >= enough and self.counts[word] <= 3


def shortenings(
    cuts: Cuts, segment: int, vocabulary: Vocabulary, known: Known | None
) -> Iterator[Shortening]:
    """What compression left of each entity of one text that it cut inside."""
    taken: list[Entity] = []
    for entity in entities(cuts.text):
        if cuts.touched(entity.start, entity.end):
            taken.append(entity)
    for entity in quotes(cuts.text):
        if cuts.touched(entity.start + 1, entity.end - 1):
            taken.append(entity)
    taken.extend(_cut_words(cuts, taken))
    for entity in taken:
        found = _shortening(
            _trimmed(entity, cuts.text, vocabulary), cuts, segment, vocabulary, known
        )
        if found is not None:
            yield found


def _cut_words(cuts: Cuts, taken: list[Entity]) -> list[Entity]:
    covered = sorted((e.start, e.end) for e in taken if e.kind != "quote")
    starts = [start for start, _ in covered]
    text, found, last = cuts.text, [], -1
    for edge in cuts.edges:
        if edge < last or not inside(text[edge - 1], text[edge]):
            continue
        i = bisect_right(starts, edge) - 1
        if i >= 0 and covered[i][1] > edge:
            continue
        start = end = edge
        while start and inside(text[start - 1], text[start]):
            start -= 1
        while end < len(text) and inside(text[end - 1], text[end]):
            end += 1
        last = end
        found.append(Entity("word", start, end))
    return found


def _trimmed(entity: Entity, text: str, vocabulary: Vocabulary) -> Entity:
    # A capital at the start of a sentence does not make "While" part of a name.
    if entity.kind == "name":
        words = list(WORD.finditer(text, entity.start, entity.end))
        if len(words) > 1 and words[0].group().lower() in vocabulary.counts:
            return Entity("name", words[1].start(), entity.end)
    if entity.kind == "quote":
        return Entity("quote", entity.start + 1, entity.end - 1)
    return entity


def _shortening(
    entity: Entity, cuts: Cuts, segment: int, vocabulary: Vocabulary, known: Known | None
) -> Shortening | None:
    pieces = cuts.within(entity.start, entity.end)
    if not pieces or pieces[0] == (entity.start, entity.end):
        return None
    short = squeeze("".join(cuts.text[a:b] for a, b in pieces))
    full = squeeze(cuts.text[entity.start : entity.end])
    runs = WORD.findall(short)
    if not runs or len(full.split()) > MOST_WORDS or short == full:
        return None
    end = pieces[-1][1]
    if script(short[-1]) == "h":
        full, short = _stems(full, short)
        runs = WORD.findall(short)
        if short == full or not runs:
            return None
    if not _stands_alone(cuts, pieces[0][0], end):
        return None
    level = _evidence(entity.kind, short, full, runs, vocabulary, known)
    if level is None:
        return None
    before, after = _neighbours(cuts, entity)
    return Shortening(
        short=short,
        full=full,
        kind=entity.kind,
        segment=segment,
        span=(entity.start, entity.end),
        before=before,
        after=after,
        telling=frozenset(w for w in (*before, *after) if vocabulary.telling(w)),
        needs=level[0],
        follows=level[1],
    )


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


def _evidence(
    kind: EntityKind,
    short: str,
    full: str,
    runs: list[str],
    vocabulary: Vocabulary,
    known: Known | None,
) -> tuple[int, bool] | None:
    """How many words around a shortening have to agree, and whether the one behind has to;
    None if nothing can show that a response copied it."""
    broken = [run for run in runs if not vocabulary.has(run)]
    gapped = short not in full
    if kind == "unit" and full.startswith(short) and sum(map(str.isdigit, short)) >= 3:
        return (0, False) if vocabulary.counts[runs[-1]] == 1 else (2, True)
    if kind in ("number", "unit", "date"):
        if broken and len(runs) > 1 and any(map(str.isalpha, short)):
            return 0, False
        return (2, False) if broken or gapped else None
    if kind == "word":
        return (_lone(runs[0], known), False) if broken else None
    if kind in ("identifier", "path", "url"):
        mixed = any(map(str.isdigit, short)) and any(map(str.isalpha, short))
        odd = len(short) >= 5 and (mixed or len(runs) > 1)
        if broken or gapped:
            return (0 if odd else 2), False
        return 2, True
    if len(runs) > 1 and (broken or gapped):
        return 0, False
    if broken:
        return _lone(runs[0], known), False
    return 2, True


def _lone(run: str, known: Known | None) -> int:
    enough = 4 if script(run[0]) == "a" else 2
    return 0 if known is not None and len(run) >= enough and not known(run) else 1


def _neighbours(cuts: Cuts, entity: Entity) -> tuple[tuple[str, ...], tuple[str, ...]]:
    text = cuts.text
    before: list[str] = []
    floor = max(0, entity.start - 60)
    for found in reversed(list(WORD.finditer(text, floor, entity.start))[-2:]):
        if not cuts.covers(*found.span()):
            break
        before.insert(0, found.group())
    after: list[str] = []
    for found in WORD.finditer(text, entity.end, min(len(text), entity.end + 60)):
        if len(after) == 2 or not cuts.covers(*found.span()):
            break
        after.append(found.group())
    return tuple(before), tuple(after)
