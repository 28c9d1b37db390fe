"""Asks an upstream the same thing twice, raw and compressed, through the till like any request."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

from unabridged.compression.body import read
from unabridged.compression.prompt import Compressed
from unabridged.policies.budget import Scopes
from unabridged.policies.choose import PASS_THROUGH, Choice
from unabridged.policies.config import Config
from unabridged.proxy.admin import BadCall
from unabridged.proxy.callers import OPEN_ORG
from unabridged.proxy.detail import Heard, edit_rows, texts_of
from unabridged.proxy.errors import (
    UpstreamBusy,
    UpstreamDown,
    UpstreamSlow,
    UpstreamUnreached,
    envelope,
)
from unabridged.proxy.fallback import Fleet
from unabridged.proxy.headers import Headers
from unabridged.proxy.page_answers import Comparison, Question, Reply
from unabridged.proxy.playground import Playground
from unabridged.proxy.receipt import Draft
from unabridged.proxy.refusal import Refusal
from unabridged.proxy.sent import Sent
from unabridged.proxy.spending import Spendings
from unabridged.proxy.upstream import Call
from unabridged.recovery.answer import Edit, restore_answer
from unabridged.recovery.index import Index

KEY = "playground"
"""Name under which the ledger charges what is asked here."""
CONTENT = ("choices", 0, "message", "content")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Put together at start-up."""

    config: Config
    upstreams: Fleet
    money: Spendings
    playground: Playground

    async def compare(self, question: Question) -> Comparison:
        """Both answers. Raises BadCall and NotPossible."""
        upstream = self.config.upstreams.get(question.upstream)
        if upstream is None:
            known = ", ".join(self.config.upstreams)
            raise BadCall(f"unknown upstream {question.upstream!r}; known: {known}")
        tested = await self.playground.test(
            question, tokenizer=upstream.tokenizer, url=upstream.url
        )
        if not tested.result["model"]:
            raise BadCall("model: say which model to ask")
        raw_body = body_of(question, question.text, tested.result["model"])
        short_body = body_of(question, tested.result["compressed"], tested.result["model"])
        raw = await self._ask(question, raw_body, None)
        compressed = await self._ask(question, short_body, tested.abridged.compressed)
        return Comparison(trial=tested.result, raw=raw, compressed=compressed)

    async def _ask(self, question: Question, body: str, compressed: Compressed | None) -> Reply:
        start = time.perf_counter()
        draft = Draft(said={})
        try:
            status, heard = await self._sent(question, body, draft)
        except (Refusal, UpstreamDown, UpstreamSlow, UpstreamBusy) as error:
            said = json.loads(envelope(error))["error"]["message"]
            return _reply(start, draft, error=said)
        text = texts_of(heard.body, heard.content_type).get("choices[0].message.content", "")
        answer = _json(heard.body)
        if status >= 400:
            said = (answer.get("error") or {}) if isinstance(answer.get("error"), dict) else {}
            return _reply(start, draft, status=status, error=str(said.get("message") or status))
        edits: list[Edit] = []
        restored = text
        if compressed is not None:
            index = await asyncio.to_thread(Index.build, compressed)
            found = await asyncio.to_thread(restore_answer, heard.body, index)
            edits = [edit for edit in found.edits if edit.path == CONTENT]
            restored = texts_of(found.body, heard.content_type).get(
                "choices[0].message.content", text
            )
        usage = answer.get("usage") or {}
        return _reply(
            start,
            draft,
            status=status,
            text=text,
            restored=restored,
            edits=edit_rows(edits),
            input_tokens=usage.get("prompt_tokens"),
            output_tokens=usage.get("completion_tokens"),
        )

    async def _sent(self, question: Question, body: str, draft: Draft) -> tuple[int, Heard]:
        upstream = self.config.upstreams[question.upstream]
        choice = Choice(
            route="",
            policy_name="off",
            policy=PASS_THROUGH,
            upstream_name=question.upstream,
            upstream=upstream,
            why="the playground asks",
        )
        parsed = read(body)
        model = str(parsed.scalar("model"))
        scopes = Scopes(org=OPEN_ORG, key=KEY, model=model)
        spending = await self.money.begin(choice, scopes, {}, draft)
        try:
            sent = await spending.reserve(parsed, Sent(body=body.encode()))
            call = Call(
                method="POST",
                target=b"/chat/completions",
                headers=_headers(question.key),
                body=sent.body,
                rewritten=True,
            )
            async with spending.answer(self.upstreams.members[question.upstream], call) as opened:
                through = spending.watch(opened.status, opened.headers)
                heard = Heard(_kind(opened.headers))
                async for piece in opened.pieces():
                    heard.feed(through.feed(piece))
                heard.feed(through.flush())
            return opened.status, heard
        except (UpstreamDown, UpstreamBusy, UpstreamUnreached):
            spending.not_reached()
            raise
        finally:
            await spending.end()


def body_of(question: Question, text: str, model: str) -> str:
    """The request to send: a body with model and limit, or a text as one user message, with the
    question behind it."""
    try:
        body = json.loads(text) if text.lstrip().startswith("{") else None
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        asked = f"{text}\n\n{question.question}" if question.question else text
        body = {"messages": [{"role": "user", "content": asked}]}
    for name in ("stream", "stream_options", "unabridged", "n"):
        body.pop(name, None)
    if not {"max_tokens", "max_completion_tokens"} & set(body):
        body["max_tokens"] = question.max_tokens
    return json.dumps({**body, "model": model}, ensure_ascii=False)


def _headers(key: str | None) -> Headers:
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"accept", b"application/json"),
        (b"accept-encoding", b"identity"),
    ]
    if key:
        headers.append((b"authorization", f"Bearer {key}".encode("latin-1", "replace")))
    return headers


def _kind(headers: Headers) -> str:
    return next((v.decode("latin-1") for k, v in headers if k.lower() == b"content-type"), "")


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _reply(start: float, draft: Draft, **told: Any) -> Reply:
    reply = Reply(
        ok=not told.get("error"),
        status=None,
        error="",
        text="",
        restored="",
        edits=[],
        input_tokens=None,
        output_tokens=None,
        nano_usd=draft.said.get("nano_usd"),
        milliseconds=round((time.perf_counter() - start) * 1000, 1),
    )
    reply.update(told)  # type: ignore[typeddict-item]
    return reply
