"""One request with a prompt from beginning to end: choose, abridge, pay, send, restore, receipt."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from starlette.types import Send

from unabridged.compression import body as bodies
from unabridged.compression.body import Body
from unabridged.policies.asked import HEADERS, Asked, apply
from unabridged.policies.choose import Choice, Facts, choose
from unabridged.policies.config import Config
from unabridged.proxy.abridger import Abridger
from unabridged.proxy.callers import scopes, shelf_owner, tenant
from unabridged.proxy.decode import Came
from unabridged.proxy.detail import Detail, heard
from unabridged.proxy.dialect import dialect_of
from unabridged.proxy.errors import (
    BadBody,
    ClientGone,
    ShuttingDown,
    UpstreamBusy,
    UpstreamDown,
    UpstreamUnreached,
    kind,
)
from unabridged.proxy.fallback import Fleet
from unabridged.proxy.headers import Headers, first, to_client, unencoded
from unabridged.proxy.ids import unique
from unabridged.proxy.indexes import Keeping
from unabridged.proxy.intent import apart, intent_headers
from unabridged.proxy.keys import Key
from unabridged.proxy.ledger import plain
from unabridged.proxy.receipt import Draft, Receipts, receipt_headers
from unabridged.proxy.relay import Chain, Untouched, pass_on
from unabridged.proxy.request import Request
from unabridged.proxy.restore import Index, Restorer
from unabridged.proxy.sent import Sent
from unabridged.proxy.spending import Spending, Spendings
from unabridged.proxy.surface import Surface
from unabridged.proxy.tracing import Tracing
from unabridged.proxy.upstream import Answer, Call, Opened
from unabridged.proxy.workers import QueueFull, Workers

LARGE = 16 * 1024
"""Bytes of JSON that take longer to parse than the event loop may be held up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Everything that a request with a prompt needs, put together at start-up."""

    config: Config
    upstreams: Fleet
    reading: Workers
    """For short work that must not queue behind compressing."""
    abridge: Abridger
    restore: Restorer
    receipts: Receipts
    money: Spendings
    tracing: Tracing | None = None
    """None: nobody asked for traces."""

    async def __call__(
        self, request: Request, send: Send, caller: Key | None, surface: Surface
    ) -> None:
        """Raises only before the first byte of the answer."""
        draft = Draft(
            said={"request_id": unique(), "path": request.path},
            detail=Detail(tenant=tenant(caller)),
            trace=self.tracing.begin(request.header_map()) if self.tracing else None,
        )
        if caller is not None:
            draft.note(key=caller.name, team=caller.team or "")
        try:
            raw = await request.body()
            await request.while_there(self._answer(request, raw, send, caller, surface, draft))
        except ClientGone:
            draft.note(ended="client gone")
        except ShuttingDown as error:
            draft.note(ended="broken off", reason=str(error))
            raise
        except Exception as error:
            draft.note(ended="refused", reason=kind(error).code)
            raise
        finally:
            receipt = draft.receipt(at=time.time())
            self.receipts.add(receipt, draft.detail)
            if draft.trace is not None:
                upstream = self.config.upstreams.get(receipt.upstream)
                draft.trace.end(receipt, draft.began, upstream.url if upstream else "")

    async def _answer(
        self,
        request: Request,
        raw: bytes,
        send: Send,
        caller: Key | None,
        surface: Surface,
        draft: Draft,
    ) -> None:
        """The line: choose -> tighten -> split, allot, compress (in `abridge`) -> reserve ->
        send -> restore -> settle."""
        with draft.timed("read"):
            came = await self._came(request, raw)
            body = await self._read(came, surface)
            choice = self._choose(request, body, caller, draft)
            own = _without_ours(body)
        on = scopes(
            caller,
            route=choice.route,
            model=draft.said["model"],
            named=body.count("model") if body else 0,
        )
        spending = await self.money.begin(choice, on, request.header_map(), draft)
        draft.note(policy=spending.choice.policy_name, compressor=spending.choice.policy.compressor)

        async def abridged(by: Choice) -> Sent:
            return await self._abridged(came, own, body, by, caller, surface, draft)

        try:
            sent = await abridged(spending.choice)
            if surface.generates:
                sent = await spending.reserve(body, sent, abridged)
            await self._send(request, came, send, spending, sent, surface, draft)
            if surface.generates:
                self._went_out(sent, draft)
        except (UpstreamDown, UpstreamBusy, UpstreamUnreached):
            spending.not_reached()
            raise
        finally:
            await spending.end()

    async def _send(
        self,
        request: Request,
        came: Came,
        send: Send,
        spending: Spending,
        sent: Sent,
        surface: Surface,
        draft: Draft,
    ) -> None:
        """send -> restore."""
        upstream = self.upstreams.line(spending.choice)
        headers, body = came.going(sent.body)
        call = Call(
            method=request.method,
            target=request.target,
            headers=headers,
            body=body,
            rewritten=True,
            served=lambda name: draft.note(upstream=name),
        )
        if draft.trace is not None:
            call = replace(call, headers=draft.trace.call(call.headers))
        if spending.counted:
            call = replace(call, headers=unencoded(call.headers))
        shortened = sent.compressed if surface.generates else None
        if shortened is None or spending.choice.policy.recovery == "off":
            return await self._stream(
                spending.answer(upstream, call), send, draft, None, spending, surface
            )
        policy = spending.choice.policy
        index = self.restore.prepare(
            shortened,
            audit=policy.audit,
            by_place=policy.citations == "by place",
            keeping=Keeping(owner=draft.detail.tenant, seconds=policy.cache_seconds),
        )
        try:
            call = replace(call, headers=unencoded(call.headers))
            answer = self._stream if draft.said["stream"] else self._whole
            opening = spending.answer(upstream, call)
            await answer(opening, send, draft, index, spending, surface)
        finally:
            index.drop()

    def _went_out(self, sent: Sent, draft: Draft) -> None:
        """The upstream has taken the body, so that its beginning is in the provider's cache.
        Nobody waits for the note of it, and what is not noted is only not known."""
        note = sent.note
        if note is not None and (draft.said.get("status") or 500) < 400:
            noting = asyncio.ensure_future(self.reading.run(lambda _: note(), seconds=None))
            noting.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _came(self, request: Request, raw: bytes) -> Came:
        """The body, opened if it is compressed. Raises BadBody and TooLarge."""
        if request.header(b"content-encoding") is None:
            return Came(request.headers, raw, raw)
        limit = self.config.server.max_body_bytes
        came: Came = await self.money.aside(lambda: Came.of(request.headers, raw, limit=limit))
        return came

    async def _read(self, came: Came, surface: Surface) -> Body | None:
        """The parsed body; None if it is in an encoding that we do not open.

        Raises BadBody.
        """
        raw = came.plain
        if raw is None:
            return None
        if len(raw) > LARGE:
            try:
                return await self.reading.run(lambda _: self._parse(raw, surface), seconds=None)
            except QueueFull:
                pass
        return self._parse(raw, surface)

    def _parse(self, raw: bytes, surface: Surface) -> Body:
        try:
            return self.abridge.steps.read(raw.decode(), surface.name)
        except UnicodeDecodeError as error:
            raise BadBody(f"the request body is not UTF-8 at byte {error.start}") from None
        except bodies.BadBody as error:
            raise BadBody(f"{error}; send a request as a JSON object") from None

    def _choose(
        self, request: Request, body: Body | None, caller: Key | None, draft: Draft
    ) -> Choice:
        """Raises BadAsk, UnknownPolicy and NotAllowed."""
        headers = request.header_map()
        model = body.scalar("model") if body else None
        facts = Facts(
            path=request.path,
            model=model if isinstance(model, str) else "",
            headers=headers,
            team=caller.team if caller else None,
            key=caller.name if caller else None,
        )
        choice = choose(self.config, facts)
        if caller is not None and caller.policy is not None:
            choice = by_key(choice, self.config, caller.policy)
        extra = body.value("unabridged") if body else None
        if extra is not None or any(name in headers for name in HEADERS):
            choice = apply(choice, self.config, Asked.parse(headers, extra))
        draft.note(
            model=plain(facts.model),
            stream=bool(body and body.scalar("stream") is True),
            route=choice.route,
            policy=choice.policy_name,
            upstream=choice.upstream_name,
            compressor=choice.policy.compressor,
        )
        return choice

    async def _abridged(
        self,
        came: Came,
        own: str | None,
        body: Body | None,
        choice: Choice,
        caller: Key | None,
        surface: Surface,
        draft: Draft,
    ) -> Sent:
        """The body to send: shortened, or the caller's own."""
        reason = _why_untouched(body, choice)
        if reason or body is None:
            draft.note(reason=reason)
            unchanged = came.raw if came.plain is None else came.plain
            return Sent(body=unchanged if own is None else own.encode())
        with draft.timed("abridge"):
            sent = await self.abridge(
                body.raw if own is None else own,
                choice,
                model=draft.said["model"],
                owner=shelf_owner(caller, choice.policy.cache_share),
                surface=surface.name,
            )
        if choice.policy.intent:
            whole = body.raw if own is None else own
            sent, draft.detail.intent = apart(sent, whole.encode())
        draft.detail.seen = sent.seen
        draft.detail.keep_seconds = choice.policy.keep_text_seconds
        draft.detail.may_train = choice.policy.train_on_text
        draft.note(
            tokens_before=sent.tokens_before,
            tokens_after=sent.tokens_after,
            asked=sent.asked,
            cache=sent.cache,
            cache_depth=sent.depth,
            gate=sent.gate.choice,
            gate_tokens=sent.gate.tokens,
            reason=sent.reason,
            failed_step=sent.failed_step,
            steps=sent.milliseconds,
        )
        return sent

    async def _stream(
        self,
        answer: AbstractAsyncContextManager[Opened],
        send: Send,
        draft: Draft,
        index: Index | None,
        spending: Spending,
        surface: Surface,
    ) -> None:
        """Passes the answer on as it comes; restores its wording if it is a stream of events."""
        async with answer as opened:
            _heard(draft, opened.status, opened.headers)
            counting = spending.watch(opened.status, opened.headers)
            restoring = None
            if index is not None:
                restoring = await self.restore.stream(
                    opened.status, opened.headers, index, draft, surface.name
                )
            headers = to_client(
                opened.headers,
                receipt=told_headers(draft),
                changed=restoring is not None or spending.rewrites,
                length=None,
            )
            through = heard(counting, opened.headers, draft.detail, surface.name)
            through = through if restoring is None else Chain(through, restoring)
            dialect = dialect_of(draft.said["path"])
            if await pass_on(opened, send, headers, through, dialect=dialect) is not None:
                draft.note(ended="broken off")

    async def _whole(
        self,
        answer: AbstractAsyncContextManager[Opened],
        send: Send,
        draft: Draft,
        index: Index,
        spending: Spending,
        surface: Surface,
    ) -> None:
        """Waits for the whole answer and restores its wording."""
        async with answer as opened:
            counting = spending.watch(opened.status, opened.headers)
            pieces = [counting.feed(piece) async for piece in opened.pieces()]
            whole = b"".join([*pieces, counting.flush()])
        came = Answer(status=opened.status, headers=opened.headers, body=whole)
        _heard(draft, came.status, came.headers)
        heard(Untouched(), came.headers, draft.detail, surface.name).feed(whole)
        body = await self.restore.whole(came, index, draft, surface.name)
        headers = to_client(
            came.headers,
            receipt=told_headers(draft),
            changed=body is not came.body,
            length=len(body),
        )
        await send({"type": "http.response.start", "status": came.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def told_headers(draft: Draft) -> Headers:
    """What the caller is told: the receipt, and what is for nobody else."""
    return [*receipt_headers(draft.receipt(at=0)), *intent_headers(draft.detail.intent)]


def by_key(choice: Choice, config: Config, policy: str) -> Choice:
    """The choice with the policy of the caller's key, if the configuration has it."""
    if policy not in config.policies:
        return choice
    return replace(
        choice,
        policy_name=policy,
        policy=config.policies[policy],
        why=f"{choice.why}; the key's policy is {policy!r}",
    )


def _without_ours(body: Body | None) -> str | None:
    """The body without its `unabridged` object; None if it has none."""
    if body is None or all(member.key != "unabridged" for member in body.members):
        return None
    return body.without("unabridged")


def _why_untouched(body: Body | None, choice: Choice) -> str:
    """Why nothing is even tried; empty if it is."""
    if body is None:
        return "the body is encoded"
    if choice.policy.compressor == "off":
        return "the policy is off"
    if body.trouble:
        return "a key stands twice in the body, so nobody can tell which one counts"
    return ""


def _heard(draft: Draft, status: int, headers: Headers) -> None:
    told = first(headers, b"x-request-id") or b""
    draft.note(status=status, upstream_request_id=told[:100].decode("latin-1"))
