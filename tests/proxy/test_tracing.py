"""Traces are sent where the standard variables ask for them, and go on to the upstream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from conftest import Proxy
from fake_upstream import FakeUpstream
from otlp_collector import Collector, collecting
from page_client import FAKE, PATIENT, PROMPT, chat
from receipt_world import receipt

from unabridged.proxy.tracing import NotTraceable, attributes, open_tracing, ours, steps

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as server:
        yield server


def traced(serve: Callable[..., Proxy], collector: Collector) -> Proxy:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    return serve(environment=environment, policies={"fake": FAKE}, **PATIENT)


def sent(proxy: Proxy, collector: Collector) -> dict[str, Any]:
    """The spans by name, after the proxy has ended."""
    tracing = proxy.app.exchange.tracing
    assert tracing is not None
    tracing.stop()
    return {span.name: span for span in collector.spans}


def values(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


def test_a_request_is_a_trace_that_goes_on_to_the_upstream(
    serve: Callable[..., Proxy], upstream: FakeUpstream, collector: Collector
) -> None:
    import httpx

    proxy = traced(serve, collector)
    body = {"model": "m", "messages": [{"role": "user", "content": PROMPT}]}
    headers = {"traceparent": PARENT, "tracestate": "a=b"}
    url = f"{proxy.url}/chat/completions"
    assert httpx.post(url, json=body, headers=headers, timeout=30).status_code == 200
    assert proxy.receipt().status == 200
    told = upstream.seen[-1].header("traceparent")
    assert told is not None and told.split("-")[1] == TRACE
    assert upstream.seen[-1].header("tracestate") == "a=b"
    spans = sent(proxy, collector)
    call = next(s for s in collector.spans if s.kind == 3)
    served = next(s for s in collector.spans if s.kind == 2)
    assert call.span_id.hex() == told.split("-")[2]
    assert call.parent_span_id == served.span_id
    assert served.parent_span_id.hex() == PARENT.split("-")[2]
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert {"unabridged.split", "unabridged.compress", "unabridged.render"} <= set(spans)
    assert all(
        span.parent_span_id == served.span_id
        and served.start_time_unix_nano <= span.start_time_unix_nano
        for name, span in spans.items()
        if name.startswith("unabridged.")
    )
    assert values(call)["gen_ai.request.model"] == "m"
    assert values(served)["unabridged.outcome"] == "shortened"


def test_a_caller_without_a_trace_begins_one(
    serve: Callable[..., Proxy], upstream: FakeUpstream, collector: Collector
) -> None:
    proxy = traced(serve, collector)
    chat(proxy)
    assert proxy.receipt().status == 200
    told = upstream.seen[-1].header("traceparent")
    served = next(s for s in (sent(proxy, collector), collector.spans)[1] if s.kind == 2)
    assert told is not None and served.trace_id.hex() == told.split("-")[1]
    assert not served.parent_span_id


def test_without_the_variables_headers_pass_as_they_came(
    serve: Callable[..., Proxy], upstream: FakeUpstream
) -> None:
    import httpx

    proxy = serve()
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    headers = {"traceparent": PARENT}
    httpx.post(f"{proxy.url}/chat/completions", json=body, headers=headers, timeout=30)
    assert upstream.seen[-1].header("traceparent") == PARENT
    assert proxy.app.exchange.tracing is None


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"},
    ],
)
def test_nobody_asked(environment: dict[str, str]) -> None:
    assert open_tracing(environment) is None


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_TRACES_EXPORTER": "zipkin"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_what_is_not_spoken_is_said(environment: dict[str, str]) -> None:
    with pytest.raises(NotTraceable):
        open_tracing(environment)


def test_the_steps_of_abridging_follow_each_other() -> None:
    spent = {"read": 1.0, "abridge": 9.0, "queue": 1.0, "split": 2.0, "compress": 5.0}
    found = steps(receipt(1, milliseconds=spent), {"read": 0, "abridge": 5_000_000})
    assert found == [
        ("read", 0, 1_000_000),
        ("abridge", 5_000_000, 9_000_000),
        ("queue", 5_000_000, 1_000_000),
        ("split", 6_000_000, 2_000_000),
        ("compress", 8_000_000, 5_000_000),
    ]


def test_attributes_have_the_names_of_the_conventions() -> None:
    told = receipt(1, model="gpt-4o", upstream="default", status=200, input_tokens=9)
    assert attributes(told, "https://api.openai.com/v1") == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 9,
        "server.address": "api.openai.com",
        "http.response.status_code": 200,
        "url.path": "/v1/chat/completions",
    }
    older = attributes(replace(told, path="/v1/completions"), "http://localhost:1")
    assert older["gen_ai.operation.name"] == "text_completion"
    assert attributes(told, "http://localhost:1")["gen_ai.provider.name"] == "default"
    assert ours(told)["unabridged.outcome"] == "untouched"
