"""The largest choice of pieces that fits an exact budget of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from unabridged.compression.job import Count
from unabridged.compression.kept import Spans, extract, normalise
from unabridged.compression.prompt import Segment, Span

SLACK = 2
"""Tokens that a unit may cost less among others than by itself."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A stretch of one segment that is kept or dropped as a whole."""

    segment: int
    """Index of the segment among those of the job."""
    start: int
    end: int
    without: tuple[Span, ...] = ()
    """Stretches inside that are units of their own, sorted and disjoint."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """What the unit stands for."""
        if not self.without:
            return ((self.start, self.end),)
        edges = [self.start, *(at for gap in self.without for at in gap), self.end]
        return tuple(zip(edges[::2], edges[1::2], strict=True))


def longest(pieces: int, cost: Callable[[int], int], budget: int) -> int:
    """The number of first pieces whose cost fits the budget, by bisection: log2(pieces) counts.

    The bounds do not depend on the budget, so a smaller budget never gives a larger number,
    whatever the cost function does.
    """
    low, high = 0, pieces
    while low < high:
        middle = (low + high + 1) // 2
        if cost(middle) <= budget:
            low = middle
        else:
            high = middle - 1
    return low


def spans_of(segments: Sequence[Segment], units: Sequence[Unit]) -> tuple[Spans, ...]:
    """The kept spans of each segment; head and tail come with anything of the content."""
    chosen: list[list[Span]] = [[] for _ in segments]
    for unit in units:
        chosen[unit.segment].extend(unit.spans)
    return tuple(
        normalise([(0, start), *spans, (end, len(segment.text))]) if spans else ()
        for segment, spans in zip(segments, chosen, strict=True)
        for start, end in [segment.content]
    )


@dataclass(slots=True)
class Selection:
    """Chooses units in the order of their priority until the budget is used up.

    What is counted is the text that will be sent, each segment's joined pieces with its head and
    tail, so the budget is met exactly: the units that are added alone may count more or less.
    """

    segments: Sequence[Segment]
    count: Count
    checkpoint: Callable[[], None] = lambda: None
    _counted: dict[tuple[int, str], int] = field(default_factory=dict)

    def cost(self, units: Sequence[Unit]) -> int:
        """Tokens of what `units` keep, heads and tails included."""
        total = 0
        for i, spans in enumerate(spans_of(self.segments, units)):
            if not spans:
                continue
            key = i, extract(self.segments[i].text, spans)
            if key not in self._counted:
                self._counted[key] = self.count(key[1])
            total += self._counted[key]
        return total

    def choose(
        self,
        order: Sequence[Unit],
        budget: int,
        *,
        always: Sequence[Unit] = (),
        split: Callable[[Unit], Sequence[Unit]] | None = None,
    ) -> list[Unit]:
        """The first units of `order` that fit `budget` tokens, `always` before all others and
        even beyond the budget.

        `split` divides the first unit that does not fit, so that a part of it may. Where the next
        unit is one that is too long for what is left, or would open a segment whose head is,
        later units fill the gap; behind such a head first those of the segments already open.
        """
        chosen = list(always)
        rest = [unit for unit in order if unit not in set(always)]
        for _ in range(8):  # each round fills the gap that a unit too large has left
            if not rest:
                break
            self.checkpoint()
            base = list(chosen)
            taken = longest(len(rest), lambda n: self.cost([*base, *rest[:n]]), budget)  # noqa: B023
            chosen.extend(rest[:taken])
            if taken == len(rest):
                break
            blocker, rest = rest[taken], rest[taken + 1 :]
            parts = list(split(blocker)) if split is not None else []
            if len(parts) > 1:
                rest = [*parts, *rest]
                base = list(chosen)
                taken = longest(len(parts), lambda n: self.cost([*base, *rest[:n]]), budget)  # noqa: B023
                chosen.extend(rest[:taken])
                if taken:  # one sentence cut short is enough: the next word did not fit
                    break
                blocker, rest = parts[0], rest[len(parts) :]
            gap = budget - self.cost(chosen)
            if gap <= 0:
                break
            if split is None:
                rest = [unit for unit in rest if self._alone(unit) <= gap + SLACK]
            opened = {unit.segment for unit in chosen}
            if blocker.segment not in opened and self._frame(blocker.segment) >= gap:
                rest = [unit for unit in rest if unit.segment != blocker.segment]
                rest.sort(key=lambda unit: unit.segment not in opened)
        return chosen

    def _frame(self, segment: int) -> int:
        """Tokens of a segment's head and tail."""
        text, (start, end) = self.segments[segment].text, self.segments[segment].content
        return self.count(text[:start] + text[end:])

    def _alone(self, unit: Unit) -> int:
        """Tokens of a unit by itself."""
        key = unit.segment, extract(self.segments[unit.segment].text, unit.spans)
        if key not in self._counted:
            self._counted[key] = self.count(key[1])
        return self._counted[key]


def ordered(units: Sequence[Unit], priority: Sequence[float]) -> list[Unit]:
    """Units by falling priority, ties by position."""
    return [units[i] for i in sorted(range(len(units)), key=lambda i: (-priority[i], i))]
