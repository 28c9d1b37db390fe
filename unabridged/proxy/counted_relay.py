"""Passes a request through unchanged but for its money: no path leads around a budget."""

from __future__ import annotations

from dataclasses import replace

from starlette.types import Send

from unabridged.compression.body import BadBody, Body, read
from unabridged.policies.choose import Choice
from unabridged.proxy.callers import scopes
from unabridged.proxy.decode import Came
from unabridged.proxy.dialect import dialect_of
from unabridged.proxy.errors import BadBody as Broken
from unabridged.proxy.errors import UpstreamBusy, UpstreamDown, UpstreamUnreached
from unabridged.proxy.headers import to_client, unencoded
from unabridged.proxy.keys import Key
from unabridged.proxy.receipt import Draft
from unabridged.proxy.relay import pass_on
from unabridged.proxy.request import Request
from unabridged.proxy.sent import Sent
from unabridged.proxy.spending import Spending, Spendings
from unabridged.proxy.upstream import Call, Upstream

COUNTED = ("POST", "PUT", "PATCH")
"""Methods that can cost something."""


async def relay_counted(
    request: Request,
    send: Send,
    upstream: Upstream,
    *,
    money: Spendings,
    caller: Key | None,
    choice: Choice,
) -> None:
    """Like `relay`, with the whole body read first. A body that names no model with a price is
    for the budget's `unknown_price` to decide, and a key that is held to some models may not send
    one that names none of them. Raises ModelNotAllowed."""
    raw = await request.body()
    limit = money.config.server.max_body_bytes
    body = await money.aside(lambda: _parsed(request, raw, limit))
    asked = body.scalar("model") if body else None
    model = asked if isinstance(asked, str) else ""
    named = body.count("model") if body else 0
    on = scopes(caller, route=choice.route, model=model, named=named)
    spending = await money.begin(choice, on, request.header_map(), Draft(said={}))

    async def work() -> None:
        try:
            sent = await _paid(spending, money, raw, body, model)
            await _passed(request, send, upstream, spending, sent)
        except (UpstreamDown, UpstreamBusy, UpstreamUnreached):
            spending.not_reached()
            raise
        finally:
            await spending.end()

    await request.while_there(work())


async def _paid(
    spending: Spending, money: Spendings, raw: bytes, body: Body | None, model: str
) -> Sent:
    if body is None:
        return await spending.reserve(None, Sent(body=raw), opaque=True)
    count = money.counter(model, spending.choice.upstream.tokenizer)
    tokens = {"body": await money.aside(lambda: count(body.raw))}
    return await spending.reserve(body, Sent(body=raw, tokens_before=tokens, tokens_after=tokens))


async def _passed(
    request: Request, send: Send, upstream: Upstream, spending: Spending, sent: Sent
) -> None:
    call = Call(
        method=request.method,
        target=request.target,
        headers=request.headers,
        body=sent.body,
        rewritten=True,
    )
    if spending.counted:
        call = replace(call, headers=unencoded(call.headers))
    async with spending.answer(upstream, call) as opened:
        through = spending.watch(opened.status, opened.headers)
        headers = to_client(opened.headers, receipt=[], changed=spending.rewrites, length=None)
        await pass_on(opened, send, headers, through, dialect=dialect_of(request.path))


def _parsed(request: Request, raw: bytes, limit: int) -> Body | None:
    """None if it is no JSON object that we can read. Raises TooLarge."""
    try:
        plain = Came.of(request.headers, raw, limit=limit).plain
        return None if plain is None else read(plain.decode(), "other")
    except (Broken, BadBody, UnicodeDecodeError):
        return None
