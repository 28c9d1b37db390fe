"""Looks for words of prompts and for credentials in all that a proxy said about requests."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fake_upstream import Seen
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unabridged.proxy.app import App
from unabridged.proxy.metrics_answer import MetricsAnswer
from unabridged.proxy.receipt import Receipt, as_record
from unabridged.proxy.tracing import Tracing

TEXT_KEYS = ("messages", "input", "prompt", "instructions", "system")
"""Where requests of the four surfaces hold what people wrote."""
CREDENTIALS = ("authorization", "x-api-key", "api-key", "cookie")


class Errors:
    """An application whose own error bodies are remembered; an upstream's are its callers' own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.bodies: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        failed = False

        async def heard(message: Message) -> None:
            nonlocal failed
            failed = failed or message.get("status", 0) >= 400
            if failed and (body := message.get("body")):
                self.bodies.append(body.decode(errors="replace"))
            await send(message)

        await self.app(scope, receive, heard)


def told(app: App, log: str, errors: Iterable[str]) -> list[str]:
    """All that a proxy said of its requests: log, receipts, spans, metrics, error bodies."""
    receipts = app.recent(100)
    assert isinstance(app.metrics, MetricsAnswer)
    return [
        *log.splitlines(),
        *(json.dumps(as_record(receipt)) for receipt in receipts),
        *spans(receipts),
        *app.metrics.metrics.text().decode().splitlines(),
        *errors,
    ]


def spans(receipts: Iterable[Receipt]) -> list[str]:
    """What OpenTelemetry would be told of requests with these receipts."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider.get_tracer("tests"))
    for receipt in receipts:
        tracing.begin({}).end(receipt, dict.fromkeys(receipt.milliseconds, 1), "http://upstream")
    return [span.to_json() for span in exporter.get_finished_spans()]


def leaked(requests: Iterable[Seen], lines: Sequence[str]) -> list[str]:
    """Three neighbouring words of a prompt, or a credential, that stand in what was told. Not
    those of a model's name, which is told as a caller writes it."""
    written = "\n".join(lines)
    names = "\n".join(models(lines))
    found = (phrase for request in requests for phrase in (*phrases(request), *secrets(request)))
    return sorted(p for p in set(found) if p in written and p not in names)


def models(lines: Iterable[str]) -> Iterator[str]:
    """Names of models in the lines of a log, also as JSON has them."""
    for line in lines:
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict) and isinstance(said.get("model"), str):
                yield said["model"]
                yield json.dumps(said["model"])


def phrases(request: Seen) -> Iterator[str]:
    try:
        body = json.loads(request.body)
    except ValueError:
        return
    if not isinstance(body, dict):
        return
    for text in strings([body.get(key) for key in TEXT_KEYS]):
        words = text.split()
        for i in range(len(words) - 2):
            phrase = " ".join(words[i : i + 3])
            if len(phrase) >= 12:
                yield phrase
                yield json.dumps(phrase)[1:-1]  # as a line of JSON would have it


def secrets(request: Seen) -> Iterator[str]:
    for name in CREDENTIALS:
        last = (request.header(name) or "").rpartition(" ")[2]
        if len(last) >= 8:
            yield last


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from strings(each)
