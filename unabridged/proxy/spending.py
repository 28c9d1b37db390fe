"""What one exchange does about money: tighten, reserve, look at the answer, settle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from unabridged.compression.body import Body, read
from unabridged.compression.job import Count
from unabridged.compression.split import SPEECHES
from unabridged.policies.budget import Scopes
from unabridged.policies.choose import Choice
from unabridged.policies.config import Config, Route
from unabridged.policies.tighten import model_for, tighten
from unabridged.proxy.caps import Caps, squeezed
from unabridged.proxy.drain import drained
from unabridged.proxy.errors import BadBody
from unabridged.proxy.estimate import FACTS, Wanted, wanted
from unabridged.proxy.headers import Headers, first
from unabridged.proxy.ledger import Basis, plain
from unabridged.proxy.receipt import Draft
from unabridged.proxy.relay import Filter
from unabridged.proxy.sent import ProviderCache, Sent
from unabridged.proxy.sse import is_event_stream
from unabridged.proxy.till import Admission, Charge, Outcome, Till
from unabridged.proxy.upstream import Call, Opened, Upstream
from unabridged.proxy.usage import Used, tier
from unabridged.proxy.usage_body import Decoded, UsageBody
from unabridged.proxy.usage_stream import UsageStream, ask_for_usage
from unabridged.proxy.workers import QueueFull, Workers

ASK_USAGE = ("chat", "completions")
"""Surfaces whose streams tell their usage only if they are asked to."""

Again = Callable[[Choice], Awaitable[Sent]]
"""Abridges the same request by another choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spendings:
    """Put together at start-up."""

    till: Till
    config: Config
    reading: Workers
    counter: Callable[[str, str | None], Count]
    """(model, the upstream's tokenizer) -> counts tokens."""

    async def begin(
        self, choice: Choice, scopes: Scopes, headers: Mapping[str, str], draft: Draft
    ) -> Spending:
        """The request is admitted; its budgets are pinned. Raises BadAsk."""
        caps = Caps.parse(headers)
        admission = await self.till.admit(scopes)
        if admission.steps:
            draft.note(budget_step=", ".join(map(str, admission.steps)))
        return Spending(self, tighten(choice, self.config, admission.steps), admission, caps, draft)

    @property
    def counts(self) -> bool:
        """True if there is any budget at all."""
        return bool(self.till.book.current.all)

    async def aside(self, work: Callable[[], Any]) -> Any:
        """Runs work that is too long for the event loop."""
        try:
            return await self.reading.run(lambda _: work(), seconds=None)
        except QueueFull:
            return await asyncio.to_thread(work)


class Spending:
    """The money of one request, from its admission to its line in the ledger."""

    def __init__(
        self, money: Spendings, choice: Choice, admission: Admission, caps: Caps, draft: Draft
    ) -> None:
        self.choice = choice
        """As the budgets have tightened it."""
        self._money = money
        self._admission = admission
        self._caps = caps
        self._draft = draft
        self._charge: Charge | None = None
        self._watch: UsageStream | UsageBody | None = None
        self._seen: Filter | None = None
        self._asked = False
        self._status: int | None = None
        self._called = False
        self._before: int | None = None
        self._after: int | None = None
        self._wanted: Wanted | None = None
        self._cached: ProviderCache | None = None
        self._measure: Callable[[], Wanted | None] = lambda: None
        self._count: Count = len

    @property
    def counted(self) -> bool:
        """True if a budget counts this request: then its answer must be readable."""
        return self._admission.counted

    @property
    def drain_seconds(self) -> float | None:
        """How long to read on when the client goes; None: not at all."""
        route = self._route()
        drains = route is not None and route.on_disconnect == "drain"
        return route.drain_seconds if drains and route else None

    async def reserve(
        self,
        body: Body | None,
        sent: Sent,
        again: Again | None = None,
        *,
        opaque: bool = False,
    ) -> Sent:
        """What to send, paid for: compressed more if the caller's cap asks for it (by `again`),
        with a cheaper model if a budget does, asking for the usage of a stream. `opaque`: a
        body that cannot be read has no price, instead of being refused as such.

        Raises BudgetExceeded, Unpriced, MoneyDown, OverCap and BadBody.
        """
        if body is None or body.trouble:
            if self._caps or (self.counted and (body or not opaque)):
                why = body.trouble if body else "it is encoded"
                raise BadBody(f"this request cannot be counted against a budget: {why}")
            body = None
        model = self._model(body)
        self._before, self._after = _total(sent.tokens_before), _total(sent.tokens_after)
        self._needs(body, model)
        if self.counted or self._caps:
            self._wanted = await self._money.aside(self._measure)
        if self._caps and self._wanted is not None:
            sent = await self._fit(sent, self._wanted, model, again)
        self._charge = await self._money.till.reserve(
            self._admission,
            self._wanted,
            model=model,
            upstream_url=self.choice.upstream.url,
            policy=plain(self.choice.policy_name),
            upstream=plain(self.choice.upstream_name),
        )
        self._cached = sent.cached
        return await self._dressed(sent, body, model)

    @property
    def rewrites(self) -> bool:
        """True if what comes out of `watch` may have other bytes than went in."""
        return self._asked

    def answer(self, upstream: Upstream, call: Call) -> AbstractAsyncContextManager[Opened]:
        """The upstream's answer to a request that goes out now; read on without its reader if
        the route says so."""
        self._called = True
        seconds = self.drain_seconds
        if seconds is None:
            return upstream.stream(call)
        return drained(upstream, call, self._read_on, seconds=seconds)

    def _read_on(self, status: int, headers: Headers) -> Filter:
        """What goes on looking at an answer whose reader has gone."""
        return self._seen or self.watch(status, headers)

    def not_reached(self) -> None:
        """The upstream has not taken the request."""
        self._called = self._status is not None

    def watch(self, status: int, headers: Headers) -> Filter:
        """What the answer's bytes must go through."""
        self._status = status
        kind = (first(headers, b"content-type") or b"").decode("latin-1")
        seen = UsageStream(ours=self._asked) if is_event_stream(kind) else UsageBody()
        self._watch = seen
        encoding = (first(headers, b"content-encoding") or b"identity").decode("latin-1").lower()
        self._seen = seen if encoding == "identity" else Decoded(seen, encoding)
        return self._seen

    async def end(self) -> None:
        """Charges or frees, even if it is cancelled meanwhile. Never raises but for that."""
        charge = self._charge
        if charge is None:
            return
        self._charge = None
        ending = asyncio.ensure_future(self._end(charge))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait((ending,))
            raise

    async def _end(self, charge: Charge) -> None:
        if not self._called or (self._status is not None and self._status >= 400):
            return await self._money.till.release(charge)
        outcome = await self._outcome()
        entry = await self._money.till.settle(charge, outcome)
        self._draft.note(
            nano_usd=entry.nano_usd,
            cost_basis=entry.basis,
            gross_nano_usd=self._money.till.gross(charge, outcome),
            saved_nano_usd=entry.saved_nano_usd,
            provider_cached=entry.cached_tokens,
            input_tokens=entry.input_tokens,
            output_tokens=entry.output_tokens,
        )

    async def _outcome(self) -> Outcome:
        seen = self._watch
        told = seen.used if seen else None
        basis: Basis = "measured"
        if told is None:
            basis = "estimated" if seen and seen.complete else "partial"
            told = await self._money.aside(lambda: self._counted(seen.text if seen else ""))
        return Outcome(
            used=told,
            basis=basis,
            tier=tier(seen.service_tier) if seen else "",
            tokens_before=self._before,
            tokens_after=self._after,
            uncut_cached=self._cached.without_us(told.cached) if self._cached and told else None,
        )

    def _needs(self, body: Body | None, model: str) -> None:
        """Sets how the prompt would be counted; nothing is counted yet."""
        tokenizer, after = self.choice.upstream.tokenizer, self._after

        def measure() -> Wanted | None:
            if body is None:
                return Wanted(input_tokens=0, max_output=0) if self.counted else None
            count = self._money.counter(model, tokenizer)
            texts = _texts(body, count) if after is None else after
            return _wanted(body, texts, count)

        self._measure = measure
        self._count = lambda text: self._money.counter(model, tokenizer)(text)

    def _counted(self, text: str) -> Used | None:
        """Tokens by our own tokenizer, where the upstream did not tell."""
        found = self._wanted or self._measure()
        return None if found is None else Used(input=found.input_tokens, output=self._count(text))

    async def _fit(self, sent: Sent, found: Wanted, model: str, again: Again | None) -> Sent:
        """Compresses until the caller's cap is met. Raises OverCap and Unpriced."""
        money = self._money.till
        price = money.prices.get(model, self.choice.upstream.url)
        room = self._caps.room(found, price, model, money.settings.assumed_output)
        if room is None:
            return sent
        overhead = found.input_tokens - (self._after or 0)
        if again is None or self._after is None or room <= overhead:
            raise self._caps.refuse(found, room)
        self.choice = squeezed(self.choice, room - overhead)
        sent = await again(self.choice)
        self._after = _total(sent.tokens_after)
        if self._after is None:
            raise self._caps.refuse(found, room)
        self._wanted = found.cut_to(overhead + self._after)
        if self._wanted.input_tokens > room:
            raise self._caps.refuse(self._wanted, room)
        return sent

    def _model(self, body: Body | None) -> str:
        asked = body.scalar("model") if body else None
        return model_for(asked if isinstance(asked, str) else "", self._admission.steps)

    async def _dressed(self, sent: Sent, body: Body | None, model: str) -> Sent:
        """The body with the model of a step, and asking for the usage of a stream."""
        if body is None:
            return sent
        wish = self._money.till.settings.ask_usage
        ask = wish == "always" or (wish == "budgets" and self.counted)
        ask = ask and body.surface in ASK_USAGE
        swap = bool(self._admission.steps) and body.scalar("model") != model
        if not swap and not (ask and body.scalar("stream") is True):
            return sent

        def dress() -> bytes:
            text = sent.body.decode("utf-8", "surrogatepass")
            if swap:
                text = _with_model(text, model)
            asked = ask_for_usage(read(text)) if ask else None
            self._asked = asked is not None
            return (asked or text).encode("utf-8", "surrogatepass")

        return replace(sent, body=await self._money.aside(dress))

    def _route(self) -> Route | None:
        routes = enumerate(self._money.config.routes, 1)
        return next((r for n, r in routes if (r.name or str(n)) == self.choice.route), None)


def _texts(body: Body, count: Count) -> int:
    read_texts = SPEECHES.get(body.surface)
    return sum(count(s.text.value) for s in read_texts(body, {})) if read_texts else 0


def _wanted(body: Body, texts: int, count: Count) -> Wanted:
    facts: dict[str, Any] = {name: body.value(name) for name in FACTS}
    said = {name: body.tree.get(name) for name in ("messages", "input", "prompt")}
    return wanted({**facts, **said}, texts=texts, count=count)


def _with_model(text: str, model: str) -> str:
    members, said = read(text).members, json.dumps(model)
    place = next((member for member in members if member.key == "model"), None)
    if place is not None:
        return text[: place.value] + said + text[place.end :]
    begin = text.index("{") + 1
    return f'{text[:begin]}"model":{said}{"," if members else ""}{text[begin:]}'


def _total(tokens: Mapping[str, int]) -> int | None:
    """None if nothing was counted."""
    return sum(tokens.values()) if tokens else None
