"""Spans of each request and its steps for OpenTelemetry, where the standard variables ask for it.

OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or OTEL_TRACES_EXPORTER) turns
it on; sampling, resource, headers and batching follow the SDK's own variables. The trace of the
caller goes on (W3C Trace Context), and the upstream's spans become children of ours. Attributes
are those of the GenAI semantic conventions, and never hold text of a prompt or an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from unabridged import __version__
from unabridged.proxy.headers import Headers
from unabridged.proxy.outcome import failure, outcome
from unabridged.proxy.receipt import Receipt
from unabridged.proxy.request import PREFIX

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

ASKING = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
)
WITHIN = ("queue", "split", "plan", "compress", "render")
"""Steps of abridging, in their order; `store` lies inside of `compress`."""
_CONTEXT = (b"traceparent", b"tracestate")
_OPERATIONS = {PREFIX + "/completions": "text_completion"}
"""By path; all others that are traced are a chat to the conventions."""
_PROVIDERS = {"openai": "openai", "azure": "azure.ai.openai", "anthropic": "anthropic"}


class NotTraceable(Exception):
    """Traces are asked for in a way that cannot be met; says what to change."""


class Tracing:
    """Put together at start-up; None in its place: nobody asked."""

    def __init__(self, tracer: Tracer, stop: Callable[[], None] = lambda: None) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.tracer = tracer
        self.stop = stop
        """Sends what is still to be sent."""
        self.context = TraceContextTextMapPropagator()

    def begin(self, headers: Mapping[str, str]) -> Traced:
        """The span of a request with these headers (lower-case names)."""
        from opentelemetry.trace import SpanKind

        parent = self.context.extract(headers)
        span = self.tracer.start_span("chat", context=parent, kind=SpanKind.SERVER)
        return Traced(self, span)


class Traced:
    """The spans of one request."""

    def __init__(self, tracing: Tracing, span: Span) -> None:
        self._tracing = tracing
        self._span = span
        self._call: Span | None = None

    def call(self, headers: Headers) -> Headers:
        """The call to the upstream begins: its headers, with our span for a parent."""
        from opentelemetry.trace import SpanKind, set_span_in_context

        if self._call is None:
            within = set_span_in_context(self._span)
            tracer = self._tracing.tracer
            self._call = tracer.start_span("chat", context=within, kind=SpanKind.CLIENT)
        carrier: dict[str, str] = {}
        self._tracing.context.inject(carrier, set_span_in_context(self._call))
        kept = [(name, value) for name, value in headers if name.lower() not in _CONTEXT]
        return [*kept, *((k.encode(), v.encode()) for k, v in carrier.items())]

    def end(self, receipt: Receipt, began: Mapping[str, int], upstream_url: str) -> None:
        """Names the spans by the receipt, and adds one for each step; `began` says when the
        outer steps began, in nanoseconds since 1970."""
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        within = set_span_in_context(self._span)
        for step, start, nanoseconds in steps(receipt, began):
            span = self._tracing.tracer.start_span(
                f"unabridged.{step}", context=within, start_time=start
            )
            if step == receipt.failed_step:
                span.set_status(Status(StatusCode.ERROR))
                span.set_attribute("error.type", failure(receipt))
            span.end(end_time=start + nanoseconds)
        told = attributes(receipt, upstream_url)
        for each in filter(None, (self._call, self._span)):
            each.update_name(f"{told['gen_ai.operation.name']} {receipt.model}".strip())
            each.set_attributes(told)
            if receipt.ended in ("refused", "broken off") or (receipt.status or 0) >= 500:
                each.set_status(Status(StatusCode.ERROR))
                each.set_attribute("error.type", _error(receipt))
        self._span.set_attributes(ours(receipt))
        if self._call is not None:
            self._call.end()
        self._span.end()


def steps(receipt: Receipt, began: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Each step with its beginning and its length in nanoseconds. The steps of abridging follow
    each other without a pause."""
    found = []
    spent = {name: int(ms * 1_000_000) for name, ms in receipt.milliseconds.items()}
    for name, start in began.items():
        found.append((name, start, spent.get(name, 0)))
        at = start
        for step in WITHIN if name == "abridge" else ():
            if step in spent:
                found.append((step, at, spent[step]))
                at += spent[step]
    return found


def attributes(receipt: Receipt, upstream_url: str) -> dict[str, Any]:
    """By the GenAI semantic conventions."""
    host = urlsplit(upstream_url).hostname or ""
    known = next((name for part, name in _PROVIDERS.items() if part in host), receipt.upstream)
    told = {
        "gen_ai.operation.name": _OPERATIONS.get(receipt.path, "chat"),
        "gen_ai.provider.name": known,
        "gen_ai.request.model": receipt.model,
        "gen_ai.usage.input_tokens": receipt.input_tokens,
        "gen_ai.usage.output_tokens": receipt.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": receipt.provider_cached,
        "server.address": host,
        "http.response.status_code": receipt.status,
        "url.path": receipt.path,
    }
    return {name: value for name, value in told.items() if value not in (None, "")}


def ours(receipt: Receipt) -> dict[str, Any]:
    """What the conventions have no name for."""
    told = {
        "request_id": receipt.request_id,
        "route": receipt.route,
        "policy": receipt.policy,
        "compressor": receipt.compressor,
        "team": receipt.team,
        "outcome": outcome(receipt),
        "failure": failure(receipt),
        "cache": receipt.cache,
        "tokens_before": receipt.before if receipt.tokens_before else None,
        "tokens_after": receipt.got if receipt.tokens_before else None,
        "recovered": receipt.recovered,
        "saved_nano_usd": receipt.saved_nano_usd,
        "cost_nano_usd": receipt.nano_usd,
        "budget_step": receipt.budget_step,
    }
    return {f"unabridged.{k}": v for k, v in told.items() if v not in (None, "")}


def open_tracing(environment: Mapping[str, str]) -> Tracing | None:
    """None unless the variables ask for it. Raises NotTraceable."""
    exporter = environment.get("OTEL_TRACES_EXPORTER", "otlp")
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none"
    if off or not any(environment.get(name) for name in ASKING):
        return None
    try:
        return _opened(environment, exporter)
    except ImportError as error:
        raise NotTraceable(
            "OTEL_* asks for traces, and the packages for it are not installed:"
            ' pip install "unabridged[otel]", or set OTEL_SDK_DISABLED=true'
        ) from error


def _opened(environment: Mapping[str, str], exporter: str) -> Tracing:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

    if exporter not in ("otlp", "console"):
        raise NotTraceable(f"OTEL_TRACES_EXPORTER {exporter!r} is unknown; known: otlp, console")
    protocol = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    if exporter == "otlp" and protocol != "http/protobuf":
        raise NotTraceable(
            f"OTEL_EXPORTER_OTLP_PROTOCOL {protocol!r} is not spoken here: use http/protobuf"
        )
    base = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    target = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    sender: SpanExporter = (
        ConsoleSpanExporter()
        if exporter == "console"
        else OTLPSpanExporter(endpoint=target or base.rstrip("/") + "/v1/traces")
    )
    named = environment.get("OTEL_SERVICE_NAME", "unabridged")
    resource = Resource.create({SERVICE_NAME: named, "service.version": __version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(sender))
    return Tracing(provider.get_tracer("unabridged", __version__), provider.shutdown)


def _error(receipt: Receipt) -> str:
    if receipt.ended == "refused":
        return receipt.reason or "refused"
    return str(receipt.status) if (receipt.status or 0) >= 500 else receipt.ended
