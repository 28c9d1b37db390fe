"""Text that the provider has likely cached is cut only where that pays."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from unabridged.compression.plan import Plan, allot
from unabridged.compression.prompt import Prompt
from unabridged.compression.split import split
from unabridged.policies.policy import Policy
from unabridged.proxy.gate import Gate, discounts, reckoning
from unabridged.proxy.prefixes import Known, Mark, marks
from unabridged.proxy.price import Price

PRICE = Price(
    model="m",
    rates={("input", "", 0): 100, ("cached", "", 0): 10, ("output", "", 0): 400},
    cache_minimum=1000,
)
"""A cached token costs a tenth."""
HALF = Policy(compressor="extractive", rate=0.5, min_tokens=0)


def words(text: str) -> int:
    return len(text.split())


def request(*messages: tuple[str, Any]) -> Prompt:
    body = json.dumps({"messages": [{"role": role, "content": text} for role, text in messages]})
    return split(body, HALF)


def documents(count: int) -> str:
    return "\n\n".join(
        f"Document [{n}] " + "The tide came in and went out again that day. " * 20
        for n in range(1, count + 1)
    )


def rag(count: int, question: str = "When did the tide come?") -> Prompt:
    return request(("system", "Answer."), ("user", f"{documents(count)}\n\nQuestion: {question}"))


class Case:
    """A prompt with its plan, and what is known of its beginnings."""

    def __init__(self, prompt: Prompt, policy: Policy = HALF, price: Price = PRICE) -> None:
        from unabridged.compression.body import read

        self.prompt, self.price = prompt, price
        self.plan: Plan = allot(prompt, policy, words)
        self.marks: tuple[Mark, ...] = marks(prompt, read(prompt.body), "there")
        self.known: list[Known | None] = [None] * len(self.marks)

    def decide(self, *, version: str = "v1", expected: int | None = None) -> Gate:
        reckoned = reckoning(self.price, self.prompt, self.plan, expected)
        return reckoned.decide(self.marks, self.known, version=version)

    def went_out(self, mark: int, *, share: float = 1.0, uses: int = 1, **how: Any) -> None:
        """The prefix up to a mark went out, with so much of its tokens."""
        whole = sum(self.plan.counts[: self.marks[mark].end])
        self.known[mark] = Known(
            whole=whole,
            sent=int(whole * share),
            cut="" if share == 1.0 else "c",
            uses=uses,
            **how,
        )

    def sent_as(self, mark: int, *, share: float, version: str) -> None:
        """A whole request ended at the mark, with so much of every text."""
        segments = self.prompt.segments[: self.marks[mark].end]
        kept = tuple(((0, max(1, int(len(s.text) * share))),) for s in segments)
        after = tuple(max(1, int(n * share)) for n in self.plan.counts[: len(segments)])
        self.went_out(mark, share=share, version=version, kept=kept, after=after)


def test_a_first_request_is_cut_as_planned() -> None:
    assert Case(rag(12)).decide() == Gate()


def test_what_went_out_by_the_same_rules_is_sent_as_it_was() -> None:
    longer = request(*_turns(), ("assistant", "At noon."), ("user", "And then?"))
    case = Case(longer)
    case.sent_as(_end_of(case, message=1), share=0.4, version="v1")
    gate = case.decide(version="v1")
    assert (gate.choice, gate.tokens) == ("", 0)
    assert gate.held == case.known[_end_of(case, message=1)].kept  # type: ignore[union-attr]


def test_a_stronger_rate_in_mid_conversation_does_not_rewrite_what_is_cached() -> None:
    """1,900 cached tokens at a tenth are cheaper than 950 new ones at the full price."""
    case = Case(request(*_turns(), ("assistant", "At noon."), ("user", "And then?")))
    case.sent_as(_end_of(case, message=1), share=0.9, version="v1")
    gate = case.decide(version="v2")
    assert gate.choice == "keep"
    assert gate.tokens > 500
    assert len(gate.held) == case.marks[_end_of(case, message=1)].end


def test_it_is_rewritten_where_the_conversation_is_long_enough_to_pay_for_it() -> None:
    case = Case(request(*_turns(), ("assistant", "At noon."), ("user", "And then?")))
    case.sent_as(_end_of(case, message=1), share=1.0, version="v1")
    assert case.decide(version="v2", expected=4).choice == "keep"
    assert case.decide(version="v2", expected=40).choice == "rewrite"


def test_a_cut_that_falls_below_the_least_cached_length_does_not_pay() -> None:
    """1,200 tokens are cached, 600 are not: in the long run the longer text is cheaper."""
    case = Case(rag(6))
    whole = sum(case.plan.counts)
    assert PRICE.cache_minimum < whole < 2 * PRICE.cache_minimum
    assert case.decide(expected=1) == Gate()
    assert case.decide(expected=20).choice == "keep"
    unlimited = replace(PRICE, cache_minimum=1)
    assert Case(rag(6), price=unlimited).decide(expected=20) == Gate()


def test_documents_that_many_questions_share_are_sent_whole_once_that_pays() -> None:
    """Headroom #2438: cut anew for every question, they never hit the provider's cache."""
    case = Case(rag(12))
    shared = _before_the_question(case)
    for uses, choice in ((1, ""), (2, ""), (5, "keep")):
        case.went_out(shared, share=0.5, uses=uses)
        assert case.decide().choice == choice, uses
    case.went_out(shared, share=1.0, uses=1)
    gate = case.decide()
    assert gate.choice == "keep"
    assert gate.held == tuple(((0, len(s.text)),) for s in case.prompt.segments[: len(gate.held)])


def test_what_the_client_marks_to_be_cached_is_left_alone_with_all_before_it() -> None:
    body = {
        "messages": [
            {"role": "user", "content": f"{documents(12)}\n\nQuestion: When?"},
            {"role": "assistant", "content": "At noon."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "More.", "cache_control": {"type": "ephemeral"}},
                    {"type": "text", "text": f"{documents(3)}\n\nQuestion: And then?"},
                ],
            },
        ]
    }
    case = Case(split(json.dumps(body), HALF))
    gate = case.decide()
    assert gate.choice == "explicit"
    held = case.prompt.segments[: len(gate.held)]
    assert held[-1].text == "More."
    assert gate.held == tuple(((0, len(s.text)),) for s in held)
    assert any(i >= len(gate.held) for g in case.plan.grants for i in g.segments)


@pytest.mark.parametrize(
    "asks", [{"citations": {"enabled": True}}, {"cache_control": {"type": "ephemeral"}}]
)
def test_what_must_not_be_cut_now_is_not_sent_as_it_was_cut_before(asks: dict[str, Any]) -> None:
    def case(**more: Any) -> Case:
        source = {"type": "text", "data": documents(10)}
        blocks = [{"type": "document", "source": source, **more}, {"type": "text", "text": "When?"}]
        body = {"messages": [{"role": "user", "content": blocks}]}
        return Case(split(json.dumps(body), HALF, surface="messages"))

    plain, strict = case(), case(**asks)
    last = len(plain.marks) - 1
    plain.sent_as(last, share=0.4, version="v1")
    strict.known = plain.known
    assert [m.name for m in plain.marks] == [m.name for m in strict.marks]
    assert plain.decide().held == plain.known[last].kept  # type: ignore[union-attr]
    for segment, spans in zip(strict.prompt.segments, strict.decide().held, strict=False):
        assert not segment.protected or spans == ((0, len(segment.text)),)


@pytest.mark.parametrize("cached, has", [(10, True), (100, False), (120, False)])
def test_without_a_discount_there_is_nothing_to_reckon(cached: int, has: bool) -> None:
    rates = {("input", "", 0): 100, ("cached", "", 0): cached}
    assert discounts(replace(PRICE, rates=rates)) is has
    assert not discounts(None)


def _turns() -> list[tuple[str, str]]:
    return [("system", "Answer."), ("user", f"{documents(10)}\n\nQuestion: When was the tide?")]


def _end_of(case: Case, *, message: int) -> int:
    ends = [
        n
        for n, mark in enumerate(case.marks)
        if case.prompt.segments[mark.end - 1].where.path[1] == message
    ]
    return ends[-1]


def _before_the_question(case: Case) -> int:
    return next(
        n
        for n, mark in enumerate(case.marks)
        if mark.end < len(case.prompt.segments)
        and case.prompt.segments[mark.end - 1].kind == "document"
    )
