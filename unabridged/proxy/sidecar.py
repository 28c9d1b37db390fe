"""Compression for other gateways: they send messages, or a text, and get them back shorter.

`POST /v1/compress` and `GET /v1/retrieve/{id}` speak the contract that the guardrails of LiteLLM
and Portkey call; `POST /llm/v1/compressPrompt`, `GET /llm/v1/status` and JSON-RPC at `POST /` that
of Kong's prompt compressor. Whatever fails, the answer is 200 with what came.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field, ValidationError
from starlette.types import Send

from unabridged.compression.body import BadBody as Unreadable
from unabridged.compression.body import read
from unabridged.policies.asked import Asked, BadAsk, apply
from unabridged.policies.choose import PASS_THROUGH, Choice, Facts, choose
from unabridged.policies.config import Config
from unabridged.policies.policy import Frozen, Share
from unabridged.proxy import kong
from unabridged.proxy.abridger import Abridger
from unabridged.proxy.decode import decode
from unabridged.proxy.errors import BadBody, NotFound
from unabridged.proxy.exchange import by_key
from unabridged.proxy.ids import unique
from unabridged.proxy.keys import LOOPBACK, Key
from unabridged.proxy.originals import Originals
from unabridged.proxy.receipt import Draft, Receipts
from unabridged.proxy.request import PREFIX, Request
from unabridged.proxy.sent import Sent

COMPRESS, RETRIEVE = PREFIX + "/compress", PREFIX + "/retrieve/"
_KINDS = {"messages": "chat", "input": "responses", "prompt": "completions"}


class Wish(Frozen, extra="ignore"):
    """What a gateway asks for beside its messages; what it says beyond that is of no matter."""

    target_ratio: Share | None = None
    token_budget: int | None = Field(default=None, ge=1)
    frozen_message_count: int = Field(default=0, ge=0)
    question: str | None = None

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> Wish:
        """Raises BadAsk."""
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))
            raise BadAsk(f"{place}: {error.errors()[0]['msg']}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """Put together at start-up."""

    config: Config
    abridge: Abridger
    originals: Originals
    receipts: Receipts

    def handles(self, request: Request) -> bool:
        """True if a request is for us."""
        if request.method == "POST":
            return request.path in (COMPRESS, kong.PATH, "/")
        return request.method == "GET" and (
            request.path.startswith(RETRIEVE) or request.path == kong.STATUS
        )

    async def __call__(self, request: Request, send: Send, caller: Key | None) -> None:
        """Raises BadBody, BadAsk and what `apply` raises, before the answer begins."""
        tenant = caller.tenant if caller else LOOPBACK
        if request.method == "GET":
            status = request.path == kong.STATUS
            body = _json(self._status() if status else self._original(request, tenant))
        else:
            text = await self._text(request)
            work = self._compressed if request.path == COMPRESS else self._kong
            body = await request.while_there(work(request, text, caller, tenant))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _text(self, request: Request) -> str:
        """The body, opened if it came compressed. Raises BadBody and TooLarge."""
        raw = await request.body()
        encoding = request.header(b"content-encoding")
        if encoding is not None:
            limit = self.config.server.max_body_bytes
            plain = await asyncio.to_thread(decode, raw, encoding, limit=limit)
            if plain is None:
                raise BadBody(f"content-encoding {encoding[:100]!r} is none that is opened here")
            raw = plain
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise BadBody(f"the request body is not UTF-8 at byte {error.start}") from None

    async def _compressed(
        self, request: Request, text: str, caller: Key | None, tenant: str
    ) -> bytes:
        """The body with shorter messages, and what became of them."""
        # A long one takes longer than the event loop may be held up.
        body, key, surface = await asyncio.to_thread(_understood, text)
        wish = Wish.parse({**_dict(body.get("config")), **body})
        choice = self._choice(request, body, caller)
        if request.header(b"x-headroom-bypass") == "true":
            choice = replace(choice, policy=PASS_THROUGH, policy_name="off")
        choice = _asked_for(choice, wish.target_ratio, wish.token_budget, wish.question)
        count = len(body[key]) if isinstance(body[key], list) else 1
        choice = _frozen(choice, min(wish.frozen_message_count, count))
        sent = await self._shorter(request, text, choice, body.get("model"), tenant, surface)
        ids = self._keep(sent, choice, tenant)
        said = {
            **_counts(sent),
            "transforms_applied": [choice.policy.compressor] if sent.compressed else [],
            "ccr_hashes": ids,
            "policy": choice.policy_name,
            "reason": sent.reason,
        }
        keys = (key, "system", "instructions")
        return await asyncio.to_thread(_answer, sent.body, surface, keys, said)

    async def _kong(self, request: Request, text: str, caller: Key | None, tenant: str) -> bytes:
        """A text without its tags and shorter: in the tags, or all of it if there are none."""
        try:
            body = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadBody(f"the request body is not JSON: {_where(error)}") from None
        rpc = request.path == "/"
        if rpc and _dict(body).get("method") != kong.METHOD:
            raise NotFound(f"the only method here is {kong.METHOD}")
        wish = kong.KongWish.parse(_dict(body.get("params")) if rpc else _dict(body))
        choice = _asked_for(self._choice(request, {}, caller), wish.share, wish.tokens, None)
        out: list[str] = []
        counts = {"tokens_before": 0, "tokens_after": 0}
        reasons: list[str] = []
        for part, tagged in wish.parts():
            if not tagged:
                out.append(part)
                continue
            sent = await self._shorter(request, part, choice, None, tenant, "text")
            out.append(sent.body.decode("utf-8", "surrogatepass"))
            counts = {name: counts[name] + _counts(sent)[name] for name in counts}
            reasons += [sent.reason] if sent.reason else []
        said = {
            "compressed_prompt": "".join(out),
            "original_token_count": counts["tokens_before"],
            "compress_token_count": counts["tokens_after"],
            "compressor": choice.policy.compressor,
            "information": "; ".join(dict.fromkeys(reasons)),
        }
        return _json({"jsonrpc": "2.0", "id": body.get("id"), "result": said} if rpc else said)

    def _choice(self, request: Request, body: Mapping[str, Any], caller: Key | None) -> Choice:
        headers = request.header_map()
        model = body.get("model")
        config = self.config
        facts = Facts(
            path=request.path,
            model=model if isinstance(model, str) else "",
            headers=headers,
            team=caller.team if caller else None,
            key=caller.name if caller else None,
        )
        choice = choose(config, facts)
        if caller is not None and caller.policy is not None:
            choice = by_key(choice, config, caller.policy)
        return apply(choice, config, Asked.parse(headers, body.get("unabridged")))

    async def _shorter(
        self, request: Request, text: str, choice: Choice, model: Any, tenant: str, surface: str
    ) -> Sent:
        model = model if isinstance(model, str) else ""
        said = {"request_id": unique(), "path": request.path, "model": model[:200]}
        draft = Draft(said={**said, "route": choice.route, "policy": choice.policy_name})
        if choice.policy.compressor == "off":
            sent = Sent(body=text.encode("utf-8", "surrogatepass"), reason="the policy is off")
        else:
            with draft.timed("abridge"):
                sent = await self.abridge(text, choice, model=model, owner=tenant, surface=surface)
        draft.note(
            compressor=choice.policy.compressor,
            tokens_before=sent.tokens_before,
            tokens_after=sent.tokens_after,
            asked=sent.asked,
            cache=sent.cache,
            reason=sent.reason,
            failed_step=sent.failed_step,
        )
        self.receipts.add(draft.receipt(at=time.time()))
        return sent

    def _keep(self, sent: Sent, choice: Choice, tenant: str) -> list[str]:
        """Ids of the originals of what was cut, if the policy has them kept."""
        seconds = choice.policy.retrieve_seconds
        if sent.compressed is None or not seconds:
            return []
        texts: dict[Any, str] = {}
        cut: set[Any] = set()
        for segment, kept in zip(
            sent.compressed.prompt.segments, sent.compressed.kept, strict=True
        ):
            texts[segment.where.path] = texts.get(segment.where.path, "") + segment.text
            if sum(b - a for a, b in kept) < len(segment.text):
                cut.add(segment.where.path)
        return [
            self.originals.keep(text, tenant=tenant, seconds=seconds)
            for path, text in texts.items()
            if path in cut
        ]

    def _original(self, request: Request, tenant: str) -> dict[str, Any]:
        name = request.path.removeprefix(RETRIEVE)
        text = self.originals.get(name, tenant=tenant)
        if text is None:
            raise NotFound("nothing is kept under this id, not any more, or not for this caller")
        return {"hash": name, "original_content": text}

    def _status(self) -> dict[str, Any]:
        policies = self.config.policies
        return {"status": "ok", "compressors": sorted({p.compressor for p in policies.values()})}


def _asked_for(
    choice: Choice, rate: float | None, tokens: int | None, question: str | None
) -> Choice:
    """The choice with the target that came with the text: whoever sends a text to be shortened
    asks for nothing that a policy could forbid. No text is too short for it then."""
    choice = replace(choice, question=question or choice.question)
    if choice.policy.compressor == "off" or (rate is None and tokens is None):
        return choice
    target = {"rate": None if tokens else rate, "target_tokens": tokens, "ranges": ()}
    update = {**target, "min_tokens": 0, "min_saving": 0.0}
    return replace(choice, policy=choice.policy.model_copy(update=update))


def _frozen(choice: Choice, count: int) -> Choice:
    """The choice with the first messages as history that nothing is cut of."""
    if not count:
        return choice
    policy = choice.policy
    update = {
        "messages": {**policy.messages, **dict.fromkeys(range(count), "history")},
        "keep": policy.keep.model_copy(update={"history": 1.0}),
    }
    return replace(choice, policy=policy.model_copy(update=update))


def _counts(sent: Sent) -> dict[str, Any]:
    before, after = sum(sent.tokens_before.values()), sum(sent.tokens_after.values())
    return {
        "tokens_before": before,
        "tokens_after": after,
        "tokens_saved": before - after,
        "compression_ratio": round(after / before, 4) if before else 1.0,
    }


def _understood(text: str) -> tuple[Mapping[str, Any], str, str]:
    """The body, the key of what is to be shortened in it, and its surface. Raises BadBody."""
    try:
        body = json.loads(text)
        key = next(key for key in _KINDS if key in body)
        surface = "messages" if key == "messages" and _anthropic(body) else _KINDS[key]
        read(text, surface)
    except (ValueError, RecursionError, TypeError) as error:
        raise BadBody(f"the request body is not a JSON object: {_where(error)}") from None
    except StopIteration:
        raise BadBody(f"the body holds none of {', '.join(_KINDS)}") from None
    return body, key, surface


def _answer(body: bytes, surface: str, keys: Collection[str], said: Mapping[str, Any]) -> bytes:
    """What a body has under some keys, byte for byte, and what else is said."""
    shorter = read(body.decode(), surface)
    found = {m.key: shorter.raw[m.value : m.end] for m in shorter.members if m.key in keys}
    raw = "".join(f"{json.dumps(key)}: {value}, " for key, value in found.items())
    return b"{" + raw.encode() + _json(said)[1:]


def _anthropic(body: Mapping[str, Any]) -> bool:
    """True if messages are in the form of the Anthropic API."""
    if "system" in body:
        return True
    kinds = ("tool_result", "tool_use", "document", "thinking")
    return any(
        isinstance(block, dict) and block.get("type") in kinds
        for message in body["messages"] or ()
        if isinstance(message, dict) and isinstance(message.get("content"), list)
        for block in message["content"]
    )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _json(said: object) -> bytes:
    try:
        return json.dumps(said, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # Half a surrogate pair can only be written as an escape.
        return json.dumps(said).encode()


def _where(error: Exception) -> str:
    """Where a JSON text breaks off; never what stands there."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno} column {error.colno}"
    return str(error) if isinstance(error, Unreadable) else type(error).__name__
