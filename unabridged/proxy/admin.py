"""Keys, budgets and spending over HTTP, for those who hold the admin key."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, get_args

from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from unabridged.compression.compress import COMPRESSORS
from unabridged.policies.budget import Budget, Scopes, WindowKind
from unabridged.policies.policy import Frozen
from unabridged.policies.problem import dotted, phrase
from unabridged.proxy.budget_book import BudgetBook, UnknownBudget
from unabridged.proxy.ledger import LedgerDown, counters
from unabridged.proxy.spend import BadSpend, spend
from unabridged.proxy.till import Till
from unabridged.proxy.virtual_keys import BadKeyRequest, KeyRing

PREFIX = "/unabridged/v1"
LARGEST = 64 * 1024
"""Bytes of a request."""
WINDOWS: tuple[str, ...] = get_args(WindowKind)

T = TypeVar("T", bound=Frozen)


Work = Callable[[Request], Awaitable[Any]]
"""Answers a request with plain data, or with a Response of its own."""


class BadCall(Exception):
    """The request is wrong; told with status 400."""


class NotPossible(Exception):
    """The request is right, but cannot be done as things are; told with status 409."""


class Unknown(Exception):
    """What is asked for is not there; told with status 404."""


class NewKey(Frozen):
    """What a new key is asked for with."""

    name: str
    org: str = "default"
    team: str | None = None
    user: str | None = None
    policy: str | None = None
    models: tuple[str, ...] = ()
    expires_seconds: int | None = Field(default=None, gt=0)


class Rotation(Frozen):
    """How a key is rotated."""

    grace_seconds: int = Field(default=0, ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """An ASGI application for all paths under PREFIX."""

    ring: KeyRing
    till: Till
    key: str | None
    """None: there is no admin API."""
    policies: frozenset[str]
    clock: Callable[[], float] = time.time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        calls = {
            **self.calls(),
            ("GET", "/levels"): self._levels,
            ("GET", "/spend"): self._spend,
        }
        await routed(PREFIX, calls, self._guarded)(scope, receive, send)

    def calls(self) -> dict[tuple[str, str], Work]:
        """Keys and budgets, by method and path; whoever serves them decides who may call."""
        return {
            ("GET", "/keys"): self._keys,
            ("POST", "/keys"): self._create,
            ("DELETE", "/keys/{id}"): self._revoke,
            ("POST", "/keys/{id}/rotate"): self._rotate,
            ("GET", "/budgets"): self._budgets,
            ("PUT", "/budgets/{name}"): self._set,
            ("DELETE", "/budgets/{name}"): self._end,
        }

    @property
    def book(self) -> BudgetBook:
        """The budgets in force."""
        return self.till.book

    async def _guarded(self, work: Work, request: Request) -> Response:
        if self.key is None:
            return error(404, "not_found", "there is no admin API: money.admin_key_env")
        if not same_key(bearer(request), self.key):
            return error(401, "invalid_api_key", "the admin key is missing or wrong")
        return await answered(work, request)

    @property
    def _now_ms(self) -> int:
        return int(self.clock() * 1000)

    async def _keys(self, request: Request) -> Any:
        org = request.query_params.get("org")
        found = await asyncio.to_thread(self.ring.all, org)
        return {"keys": [key.record() for key in found]}

    async def _create(self, request: Request) -> Any:
        asked = await body(request, NewKey)
        if asked.policy is not None and asked.policy not in self.policies:
            raise BadCall(
                f"unknown policy {asked.policy!r}; known: {', '.join(sorted(self.policies))}"
            )
        now_ms, wanted = self._now_ms, asked.model_dump(exclude={"expires_seconds"})
        expires = None
        if asked.expires_seconds is not None:
            expires = now_ms + asked.expires_seconds * 1000
        secret, key = await asyncio.to_thread(
            lambda: self.ring.create(**wanted, now_ms=now_ms, expires_ms=expires)
        )
        await asyncio.to_thread(self.ring.refresh)
        return {"secret": secret, "key": key.record()}

    async def _revoke(self, request: Request) -> Any:
        which, org = request.path_params["id"], request.query_params.get("org")
        key = await asyncio.to_thread(lambda: self.ring.revoke(which, now_ms=self._now_ms, org=org))
        await asyncio.to_thread(self.ring.refresh)
        return {"revoked": key.id}

    async def _rotate(self, request: Request) -> Any:
        asked = await body(request, Rotation)
        which, org = request.path_params["id"], request.query_params.get("org")
        grace = asked.grace_seconds * 1000
        secret, key = await asyncio.to_thread(
            lambda: self.ring.rotate(which, now_ms=self._now_ms, grace_ms=grace, org=org)
        )
        await asyncio.to_thread(self.ring.refresh)
        return {"secret": secret, "key": key.record()}

    async def _budgets(self, request: Request) -> Any:
        await asyncio.to_thread(self.book.refresh)
        current = self.book.current
        listed = [budget.model_dump(mode="json") for budget in current.all]
        return {"version": current.version, "budgets": listed}

    async def _set(self, request: Request) -> Any:
        budget = await body(request, Budget, name=request.path_params["name"])
        for _, share, step in budget.steps:
            if step.policy is not None and step.policy not in self.policies:
                raise BadCall(f"at.{share}: unknown policy {step.policy!r}")
            if step.compressor is not None and step.compressor not in COMPRESSORS:
                known = ", ".join(COMPRESSORS)
                raise BadCall(f"at.{share}: unknown compressor {step.compressor!r}; known: {known}")
        await asyncio.to_thread(lambda: self.book.set(budget, now_ms=self._now_ms))
        return {"version": self.book.current.version, "budget": budget.model_dump(mode="json")}

    async def _end(self, request: Request) -> Any:
        name = request.path_params["name"]
        await asyncio.to_thread(lambda: self.book.remove(name, now_ms=self._now_ms))
        return {"version": self.book.current.version, "ended": name}

    async def _levels(self, request: Request) -> Any:
        """How full the budgets are that would count a request with these scopes."""
        asked = dict(request.query_params)
        unknown = set(asked) - set(Scopes.__dataclass_fields__)
        if unknown:
            raise BadCall(f"unknown scope {sorted(unknown)[0]!r}")
        scopes = Scopes(**{"org": "default", **asked})
        on = counters(self.book.current.all, scopes, self._now_ms)
        return {
            "levels": [
                {
                    "budget": level.counter.budget.name,
                    "subject": level.counter.subject or None,
                    "unit": level.counter.budget.unit,
                    "limit": level.counter.budget.amount,
                    "spent": level.spent,
                    "reserved": level.reserved,
                    "step": (level.counter.budget.step(level.used) or (None,))[0],
                    "resets_at": level.counter.window.resets_at,
                }
                for level in await self.till.ledger.read(on)
            ]
        }

    async def _spend(self, request: Request) -> Any:
        asked = request.query_params
        kind: Any = asked.get("window", "month")
        if kind not in WINDOWS:
            raise BadCall(f"unknown window {kind!r}; known: {', '.join(WINDOWS)}")
        found = await asyncio.to_thread(
            lambda: spend(
                self.book.engine,
                now_ms=self._now_ms,
                by=asked.get("by", "team"),
                kind=kind,
                org=asked.get("org"),
            )
        )
        return {
            "by": asked.get("by", "team"),
            "window": kind,
            "rows": [asdict(row) for row in found.rows],
        }


def routed(
    prefix: str,
    calls: Mapping[tuple[str, str], Work],
    guarded: Callable[[Work, Request], Awaitable[Response]],
) -> Router:
    """Calls by method and path behind a guard, which answers in their stead if it must."""

    def endpoint(work: Work) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return await guarded(work, request)

        return answer

    return Router(
        [
            Route(prefix + path, endpoint(work), methods=[method])
            for (method, path), work in calls.items()
        ]
    )


async def answered(work: Work, request: Request) -> Response:
    """The answer as JSON, or what went wrong; every status of these APIs stands here."""
    try:
        found = await work(request)
    except (BadCall, BadKeyRequest, BadSpend) as problem:
        return error(400, "bad_request", str(problem))
    except Unknown as problem:
        return error(404, "not_found", str(problem))
    except UnknownBudget as problem:
        return error(404, "unknown_budget", str(problem))
    except NotPossible as problem:
        return error(409, "not_possible", str(problem))
    except LedgerDown as problem:
        return error(503, "budget_store_down", str(problem))
    return found if isinstance(found, Response) else JSONResponse(found)


def bearer(request: Request) -> str:
    """The key in `Authorization: Bearer`; empty if there is none."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def same_key(given: str, wanted: str) -> bool:
    """Takes as long for a wrong key as for a right one; an empty one is never right."""
    presented = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
    right = hmac.compare_digest(hashlib.sha256(wanted.encode()).digest(), presented)
    return right and bool(given)


async def body(request: Request, model: type[T], *, most: int = LARGEST, **fixed: Any) -> T:
    """The request's body as a `model`, with `fixed` fields. Raises BadCall."""
    raw = b""
    async for piece in request.stream():
        raw += piece
        if len(raw) > most:
            raise BadCall(f"the request exceeds {most} bytes")
    try:
        data = json.loads(raw or b"{}")
        if not isinstance(data, dict):
            raise BadCall("the request body must be a JSON object")
        return model.model_validate_json(json.dumps({**data, **fixed}), strict=True)
    except ValidationError as problem:
        rules = model.model_json_schema()
        told = (phrase(details, rules) for details in problem.errors())
        said = [f"{dotted(place)}: {text}" if place else text for place, text in told]
        raise BadCall("; ".join(said)) from None
    except ValueError as problem:
        raise BadCall(f"the request body is not JSON: {problem}") from None


def error(status: int, code: str, message: str) -> Response:
    """What a client of the OpenAI API takes for an error."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    said = {"message": message, "type": kind, "param": None, "code": code}
    return JSONResponse({"error": said}, status_code=status)
