"""Whether text that the provider has likely in its cache is cut, or left as it was sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unabridged.compression.kept import Spans
from unabridged.compression.plan import Plan
from unabridged.compression.prompt import Compressed, Prompt
from unabridged.proxy.prefixes import Known, Mark, marked_end
from unabridged.proxy.price import Price
from unabridged.proxy.receipt import GateChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What is decided about the beginning of a prompt."""

    choice: GateChoice = ""
    tokens: int = 0
    """That are not cut although the plan would."""
    held: tuple[Spans, ...] = ()
    """What is sent of the first segments, whatever the plan says."""
    order: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    """Tokens of the first segments as they are sent."""

    def onto(self, compressed: Compressed) -> Compressed:
        """The rest as it was compressed, behind what is held."""
        n = len(self.held)
        if not n:
            return compressed
        why = "as it was sent before: the provider has likely cached it"
        rest = tuple(range(n, len(compressed.kept)))
        order = (self.order or tuple(range(n))) + (compressed.order[n:] or rest)
        return Compressed(
            prompt=compressed.prompt,
            kept=self.held + compressed.kept[n:],
            why=(why,) * n + compressed.why[n:],
            order=() if list(order) == sorted(order) else order,
            tokens_before=compressed.tokens_before,
            tokens_after=self.after + compressed.tokens_after[n:],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """What pays for one prompt, over the requests that are expected from this one on."""

    price: Price
    prompt: Prompt
    counts: Sequence[int]
    """Tokens of each segment as it came."""
    planned: Sequence[int]
    """Tokens of each segment as the plan would have it."""
    expected: int | None
    """Requests that the conversation has altogether; None: as many again as there have been."""

    def decide(self, marks: Sequence[Mark], known: Sequence[Known | None], *, version: str) -> Gate:
        """`known` says how each of the marked prefixes went out the last time.

        What went out by the same rules is sent as it was; so is what went out by others, unless
        it pays to send it once at the full price and from then on as a shorter cached text.
        What the client marks to be cached is left as it came. A beginning that many requests
        share (documents in front of ever other questions) is sent whole if that is cheaper in
        the long run than cutting it anew for every question.
        """
        marked = marked_end(self.prompt)
        pairs = list(zip(marks, known, strict=True))
        for _, record in reversed(pairs):
            if record is None or record.kept is None or self._cuts_protected(record.kept):
                continue
            if record.version == version:
                return self._as_sent(record, record.kept, marked, "")
            if marked or not self._rewriting_pays(record, len(record.kept)):
                return self._as_sent(record, record.kept, marked, "keep")
            return Gate(choice="rewrite")
        if marked:
            return self._whole(marked, "explicit")
        paying = [mark.end for mark, record in pairs if self._whole_pays(mark.end, record)]
        return self._whole(paying[-1], "keep") if paying else Gate()

    def _cuts_protected(self, kept: tuple[Spans, ...]) -> bool:
        """True if the same texts went out in a request that let them be cut, and this one does
        not: it asks for citations of them, or marks them to be cached."""
        return any(
            segment.protected and sum(b - a for a, b in spans) < len(segment.text)
            for segment, spans in zip(self.prompt.segments, kept, strict=False)
        )

    def _as_sent(
        self, record: Known, kept: tuple[Spans, ...], marked: int, choice: GateChoice
    ) -> Gate:
        n = len(kept)
        entire = self._whole(max(n, marked), "explicit")
        after = record.after + entire.after[n:]
        return Gate(
            choice=choice or ("explicit" if marked else ""),
            tokens=max(0, sum(after) - sum(self.planned[: len(after)])) if choice else 0,
            held=kept + entire.held[n:],
            order=(record.order or tuple(range(n))) + tuple(range(n, len(after))),
            after=after,
        )

    def _whole(self, end: int, choice: GateChoice) -> Gate:
        """The first segments as they came."""
        tokens = sum(self.counts[:end]) - sum(self.planned[:end])
        return Gate(
            choice=choice,
            tokens=max(0, tokens),
            held=tuple(((0, len(s.text)),) if s.text else () for s in self.prompt.segments[:end]),
            after=tuple(self.counts[:end]),
        )

    def _rewriting_pays(self, record: Known, end: int) -> bool:
        planned = sum(self.planned[:end])
        more = self._to_come(_requests(self.prompt)) - 1
        rewritten = self._first(planned) + more * self._again(planned)
        return rewritten < (1 + more) * self._again(record.sent)

    def _whole_pays(self, end: int, record: Known | None) -> bool:
        whole, planned = sum(self.counts[:end]), sum(self.planned[:end])
        if planned >= whole or whole < self.price.cache_minimum:
            return False
        if record is None:  # all that is known is that this conversation may go on
            if end < len(self.prompt.segments):
                return False
            more = self._to_come(_requests(self.prompt)) - 1
            first, cut_again = self._first(whole), self._again(planned)
        else:  # it stood in front of another question, and is cut in another way for each
            more = record.uses - 1
            first = self._first(whole) if record.cut else self._again(whole)
            cut_again = self._first(planned)
        return first + more * self._again(whole) < self._first(planned) + more * cut_again

    def _first(self, tokens: int) -> int:
        return tokens * self.price.rate("input", prompt_tokens=tokens)

    def _again(self, tokens: int) -> int:
        """What tokens cost that the provider has seen before."""
        kind = "cached" if tokens >= self.price.cache_minimum else "input"
        return tokens * self.price.rate(kind, prompt_tokens=tokens)

    def _to_come(self, been: int) -> int:
        """Requests from this one on, at least itself."""
        return max(1, been if self.expected is None else self.expected - been + 1)


def reckoning(price: Price, prompt: Prompt, plan: Plan, expected: int | None) -> Reckoning:
    """The numbers of a plan."""
    planned = list(plan.counts)
    for grant in plan.grants:
        for i in grant.segments:
            planned[i] = min(planned[i], round(grant.tokens * planned[i] / max(grant.before, 1)))
    return Reckoning(
        price=price, prompt=prompt, counts=plan.counts, planned=planned, expected=expected
    )


def discounts(price: Price | None) -> bool:
    """True if the provider asks less for what it has cached."""
    return price is not None and price.rate("cached") < price.rate("input")


def _requests(prompt: Prompt) -> int:
    """That the conversation has had, with this one."""
    return max(1, len({s.turn for s in prompt.segments if s.kind != "history"}))
