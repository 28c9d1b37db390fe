"""The ASGI application: who may call, and which path is handled how."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from unabridged.policies.asked import Asked, apply
from unabridged.policies.choose import Choice, Facts, choose
from unabridged.policies.config import Config
from unabridged.proxy.admin import PREFIX as ADMIN
from unabridged.proxy.admin import Admin
from unabridged.proxy.callers import Callers, foreign, host_of, loopback, scopes
from unabridged.proxy.counted_relay import COUNTED, relay_counted
from unabridged.proxy.cross_origin import for_sites
from unabridged.proxy.dialect import Dialect, dialect_of
from unabridged.proxy.errors import ClientGone, ForeignSite, NotCountable, NotFound, envelope, kind
from unabridged.proxy.exchange import Exchange, by_key
from unabridged.proxy.headers import Headers
from unabridged.proxy.keys import Key
from unabridged.proxy.metrics_answer import PATH as METRICS
from unabridged.proxy.page import ROOT as PAGE
from unabridged.proxy.receipt import Receipt
from unabridged.proxy.refusal import BudgetExceeded, MoneyDown, Refusal
from unabridged.proxy.relay import relay
from unabridged.proxy.request import PREFIX, Request
from unabridged.proxy.sidecar import Sidecar
from unabridged.proxy.surface import surface_of
from unabridged.proxy.websocket import refuse, relay_socket


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The proxy. Made by `assembly.Assembly`."""

    config: Config
    exchange: Exchange
    callers: Callers
    """While there are no keys: open, and then only for programs of this machine."""
    sidecar: Sidecar
    """Compresses for other gateways."""
    admin: Admin
    """Answers under its own prefix, to the admin key alone."""
    page: ASGIApp
    """Answers under /ui."""
    unready: Callable[[], list[str]]
    """What is not ready yet, in words; empty: all is."""
    running: Callable[[], AbstractAsyncContextManager[None]]
    """Holds up what must be started and stopped with the server."""
    metrics: ASGIApp
    """Answers at /metrics."""
    leave: Callable[[], None]
    """Says that the server ends: what goes on for as long as its client listens ends now."""
    stop: Callable[[], None]
    """Ends threads and store of an application that was assembled; `running` does it too."""
    failed: Callable[[Exception], None]
    """Told of every exception that nobody foresaw."""
    renew: Callable[[Config], App]
    """Makes the application by another configuration, which takes the place of this one."""
    retire: Callable[[], None]
    """The end is near: readiness goes, so that nobody sends more."""
    trouble: Callable[[], str] = lambda: ""
    """Why the newest configuration file is not in force; empty: it is."""

    def recent(self, count: int = 200) -> list[Receipt]:
        """The last receipts, newest first."""
        return self.exchange.receipts.recent(count)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            origins = self.config.server.allow_origins
            shown = origins and scope["path"].startswith(PREFIX + "/")
            app = for_sites(self._http, origins) if shown else self._http
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self.config.server.max_body_bytes
        request = Request(scope, receive, send, max_body_bytes=limit)
        try:
            if request.path.startswith(ADMIN + "/"):
                await self.admin(scope, receive, request.send)
            elif request.path == METRICS:
                await self.metrics(scope, receive, request.send)
            elif request.path == PAGE or request.path.startswith(PAGE + "/"):
                await self.page(scope, receive, request.send)
            else:
                await self._route(request, scope, receive)
        except ClientGone:
            return
        except Exception as error:
            if kind(error).status == 500:
                self.failed(error)
            if not request.started:
                dialect = dialect_of(request.path)
                await _refuse(error, send, self.config.money.refuse_status, dialect)

    async def _route(self, request: Request, scope: Scope, receive: Receive) -> None:
        send = request.send
        if request.path == "/healthz":
            # The log says what is wrong; here anybody can ask.
            old = {"config": "the newest file is not in force; the log says why"}
            return await _say(send, 200, {"status": "ok", **(old if self.trouble() else {})})
        if request.path == "/readyz":
            unready = self.unready()
            said = {"status": "not ready" if unready else "ready", "waiting_for": unready}
            return await _say(send, 503 if unready else 200, said)
        caller = self._admit(request)
        if self.sidecar.handles(request):
            return await self.sidecar(request, send, caller)
        _under_prefix(request)
        surface = surface_of(request.method, request.path)
        if surface is not None:
            return await self.exchange(request, send, caller, surface)
        choice = self._choice(request, caller)
        upstream = self.exchange.upstreams.line(choice)
        money = self.exchange.money
        held_to_models = caller is not None and bool(caller.models)
        if (money.counts or held_to_models) and request.method in COUNTED:
            await relay_counted(request, send, upstream, money=money, caller=caller, choice=choice)
        else:
            # Nothing of it is held, so that it may be of any size.
            passing = Request(scope, receive, send, max_body_bytes=sys.maxsize)
            await relay(passing, passing.send, upstream)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request({**scope, "method": "GET"}, receive, send, max_body_bytes=0)
        try:
            caller = self._admit(request)
            _under_prefix(request)
            if self.exchange.money.counts:
                raise NotCountable(
                    "a WebSocket cannot be counted against a budget, so there is none while"
                    " budgets are in force"
                )
            models = _asked_models(request)
            choice = self._choice(request, caller, models[-1])
            scopes(caller, route=choice.route, model=models[-1], named=len(models))
            name, _ = self.exchange.upstreams.line(choice).members[0]
            destination = self.exchange.upstreams.members[name]
            if destination.upstream.settings.kind != "openai":
                raise NotFound(f"upstream {name!r} has no WebSocket")
            await relay_socket(scope, receive, send, request, destination)
        except Exception as error:
            if kind(error).status == 500:
                self.failed(error)
            json_type = [(b"content-type", b"application/json")]
            await refuse(scope, send, kind(error).status, envelope(error), json_type)

    def _choice(self, request: Request, caller: Key | None, model: str = "") -> Choice:
        """Where a request goes that is not looked into. Raises BadAsk and NotAllowed."""
        facts = Facts(
            path=request.path,
            model=model,
            headers=request.header_map(),
            team=caller.team if caller else None,
            key=caller.name if caller else None,
        )
        choice = choose(self.config, facts)
        if caller is not None and caller.policy is not None:
            choice = by_key(choice, self.config, caller.policy)
        if "x-unabridged-upstream" not in facts.headers:
            return choice
        return apply(choice, self.config, Asked.parse(facts.headers))

    def _admit(self, request: Request) -> Key | None:
        """Raises BadKey and ForeignSite."""
        if not self.callers.open:
            return self.callers.caller(request.header_map())
        # Whoever can make a browser on this machine send requests could use the proxy: a page
        # of any site, or one whose name was pointed here (DNS rebinding).
        host, origin = request.header(b"host") or "", request.header(b"origin")
        if foreign(host):
            raise ForeignSite(
                f"Host {host[:100]!r} is not this machine; without a key file (server.keys_file)"
                " only localhost is served"
            )
        known = origin in self.config.server.allow_origins
        if origin and not known and not loopback(host_of(origin)):
            raise ForeignSite(
                "web pages of other sites may not use a proxy without keys, unless they are named"
                " (server.keys_file, server.allow_origins)"
            )
        return None

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with self.running():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:
            self.failed(error)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


def _under_prefix(request: Request) -> None:
    """Raises NotFound. What stands behind the prefix goes on as it was written, so the prefix must
    be written as it is: `/v%31/x` is not `/v1/x`."""
    if not request.raw_path.startswith(PREFIX.encode() + b"/"):
        raise NotFound(f"nothing is served here; the API is under {PREFIX}")


def _asked_models(request: Request) -> list[str]:
    """What the address of a WebSocket names; one that is empty: none."""
    return parse_qs(request.query.decode("latin-1")).get("model", [""])


async def _refuse(error: Exception, send: Send, refuse_status: int, dialect: Dialect) -> None:
    headers: Headers = []
    status = kind(error).status
    if isinstance(error, BudgetExceeded):
        status = refuse_status
    if isinstance(error, Refusal):
        retry = b"true" if isinstance(error, MoneyDown) else b"false"
        headers = [(b"x-should-retry", retry)]
        if error.retry_seconds is not None:
            headers.append((b"retry-after", str(error.retry_seconds).encode()))
    if status == 413:
        # The rest of the body is on its way and nobody will read it.
        headers = [(b"connection", b"close")]
    if status == 401:
        headers = [(b"www-authenticate", b"Bearer")]
    await _respond(send, status, dialect.body(error), headers)


async def _say(send: Send, status: int, said: object) -> None:
    await _respond(send, status, json.dumps(said).encode(), [])


async def _respond(send: Send, status: int, body: bytes, headers: Headers) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
