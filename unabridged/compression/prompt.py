"""All the text that a request holds, cut into named segments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from unabridged.policies.policy import Kind

Span = tuple[int, int]
"""Start and end of a stretch of text, in characters, end excluded."""

Path = tuple[str | int, ...]
"""Where a value stands in a JSON body, such as ("messages", 0, "content", 1, "text")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The place of a segment in the request body."""

    path: Path
    """The string of the body that the segment is a part of."""
    start: int
    """Offset of the segment's first character in that (decoded) string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of one string of the body that serves one purpose.

    The segments of a string tile it: joined in order they are the string.
    """

    kind: Kind
    text: str
    where: Where
    turn: int = 0
    """Number of the turn that this segment belongs to, from 0: each message of the user and of
    the assistant begins one, and what tools say belongs to the call before it. What a request
    holds of a turn is all that any later request will hold of it."""
    head: int = 0
    """Characters at the start that only wrap the content, such as `Document [1](Title: x) `:
    they are kept if anything behind them is, and dropped with the last of it."""
    tail: int = 0
    """Characters at the end that only wrap the content, such as `</document>` and the white
    space up to the next segment: kept and dropped in the same way."""
    protected: bool = False
    """True if nothing may cut inside this segment, whatever the policy says."""
    chained: bool = False
    """True if the order among neighbours carries meaning (turns of a transcript, paragraphs of
    one text): it must not change places with them."""
    escaped: bool = False
    """True if the text is the inside of a JSON string that stands in the string: an escape
    such as `\\n` is one character there, see join.whole_escapes."""
    rate: float | None = None
    """Share of the tokens to keep that the caller wrote beside the text."""
    why: str = ""
    """What the split saw that made it choose this kind, in words a person can read."""

    def __post_init__(self) -> None:
        if self.head + self.tail > len(self.text):
            raise ValueError(
                f"head {self.head} and tail {self.tail} exceed the {len(self.text)} characters"
            )

    @property
    def content(self) -> Span:
        """The stretch of `text` between head and tail."""
        return self.head, len(self.text) - self.tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A request body and the segments that were found in it."""

    body: str
    """The request body as it came (JSON text), or the plain text itself for a library call."""
    segments: tuple[Segment, ...]
    """In the order of the body."""
    surface: str = "chat"
    """The kind of request, as body.SURFACES names it."""
    note: str = ""
    """Why nothing was split, when nothing was."""
    asked: str = ""
    """What the caller named as the question of all turns; empty: the question segments say it."""

    def question(self, turn: int) -> str:
        """What is asked in a turn, or else in the last one before it in which anything is: its
        question segments, joined; empty if there is none."""
        if self.asked:
            return self.asked
        questions = [s for s in self.segments if s.kind == "question" and s.turn <= turn]
        last = max((s.turn for s in questions), default=0)
        return "\n".join(s.text.strip() for s in questions if s.turn == last)

    def of(self, turn: int, kind: Kind) -> Iterator[int]:
        """Indexes of the segments of one kind in one turn."""
        return (i for i, s in enumerate(self.segments) if s.turn == turn and s.kind == kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """What is left of a prompt: the sorted spans of each segment that survive.

    Everything else (the text that is sent, the tokens saved, the alignment that recovery
    needs, the diff) derives from `kept`.
    """

    prompt: Prompt
    kept: tuple[tuple[Span, ...], ...]
    """For each segment the kept spans of its text: sorted, disjoint, not empty."""
    why: tuple[str, ...]
    """For each segment why it was cut, or why not."""
    order: tuple[int, ...] = ()
    """Indexes of the segments in the order they are sent; empty: the order of the body. Only
    documents of one string may change places with each other."""
    tokens_before: tuple[int, ...]
    """Tokens of each segment as it came, by the upstream model's tokenizer."""
    tokens_after: tuple[int, ...]
    """Tokens of each segment as it is sent."""

    def text(self, index: int) -> str:
        """What is left of one segment."""
        text = self.prompt.segments[index].text
        return "".join(text[start:end] for start, end in self.kept[index])
