"""The money of an exchange, told over real sockets, a real store and a real database."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import httpx
import pytest
import redis
import sqlalchemy as sa
from conftest import Proxy, fake_compress, fake_steps
from fake_upstream import DONE, Cut, FakeUpstream, Hang, Reply, answer, delta, events, streamed
from ledger_world import running_store, url

from unabridged.compression.tokens import counter
from unabridged.proxy.database import database_url, entries, open_database
from unabridged.proxy.virtual_keys import KeyRing

PRICES = {"m": {"input": 1000, "output": 1000}}  # a thousandth of a dollar for a token
MONEY = {"prices": PRICES, "assumed_output": 100}
TEXT = "0123456789" * 5


def budget(**fields: Any) -> dict[str, Any]:
    return {"name": "b", "window": "total", "limit": 1, **fields}


def ask(proxy: Proxy, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    asked = {"model": "m", "messages": [{"role": "user", "content": TEXT}], **body}
    return httpx.post(f"{proxy.url}/chat/completions", json=asked, headers=headers, timeout=30)


def usage(prompt: int, answered: int) -> bytes:
    told = {"prompt_tokens": prompt, "completion_tokens": answered, "total_tokens": 0}
    chunk = {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": told}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def lines(proxy: Proxy, count: int = 1, seconds: float = 8.0) -> list[dict[str, Any]]:
    """The ledger's lines, when there are so many."""
    engine = proxy.app.exchange.money.till.book.engine
    end = time.monotonic() + seconds
    while True:
        with engine.connect() as connection:
            rows = connection.execute(sa.select(entries).order_by(entries.c.at_ms)).mappings()
            found = [dict(row) for row in rows]
        if len(found) >= count:
            return found
        assert time.monotonic() < end, f"{found} are not {count} lines"
        time.sleep(0.02)


def levels(proxy: Proxy) -> tuple[int, int]:
    """Spent and reserved of the first budget, as the store has it."""
    store = proxy.app.exchange.money.till.ledger._client.connection_pool.connection_kwargs  # type: ignore[attr-defined]
    client = redis.Redis(unix_socket_path=store["path"], decode_responses=True)
    (key,) = [k for k in client.scan_iter() if ":c:" in k]
    used, reserved = client.hmget(key, "u", "r")
    return int(used or 0) - int(reserved or 0), int(reserved or 0)


@pytest.mark.parametrize(
    "given", [{"budgets": [budget(limit=100)]}, {}], ids=["counted", "not counted"]
)
def test_a_number_that_nobody_can_read_is_charged_like_any_other_request(
    upstream: FakeUpstream, serve: Any, given: Any
) -> None:
    """The upstream tells no usage, so that all is counted here."""
    upstream.reply(answer(b'{"choices": [{"message": {"content": "Hello."}}]}'))
    proxy = serve(money=MONEY, **given)
    said = {"model": "m", "messages": [{"role": "user", "content": "Hi."}], "tools": [{"most": 1}]}
    body = json.dumps(said).replace('"most": 1', '"most": ' + "1" * 5000)
    assert httpx.post(f"{proxy.url}/chat/completions", content=body).status_code == 200
    (line,) = lines(proxy)
    assert line["basis"] == "estimated"


def test_what_a_request_came_to_stands_in_the_ledger(upstream: FakeUpstream, serve: Any) -> None:
    proxy = serve(money=MONEY, budgets=[budget()], steps=fake_steps())
    assert ask(proxy).status_code == 200
    (line,) = lines(proxy)
    assert (line["nano_usd"], line["basis"], line["model"]) == (2_000_000, "measured", "m")
    assert (line["tokens_before"], line["tokens_after"]) == (50, 25)
    assert line["saved_nano_usd"] == 25_000_000
    assert line["org"] == "default"
    assert levels(proxy) == (2_000_000, 0)


def test_a_spent_budget_stops_the_request_before_it_is_sent(
    upstream: FakeUpstream, serve: Any
) -> None:
    proxy = serve(money=MONEY, budgets=[budget(limit="0.05")])
    got = ask(proxy)
    assert got.status_code == 402
    assert got.headers["x-should-retry"] == "false"
    assert "retry-after" not in got.headers
    error = got.json()["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "budget_exceeded")
    assert error["metadata"]["budget"] == "b"
    assert error["metadata"]["limit"] == 50_000_000
    assert error["metadata"]["requested"] > 50_000_000
    assert upstream.seen == []


def test_the_status_of_a_refusal_is_the_operators_choice(
    upstream: FakeUpstream, serve: Any
) -> None:
    proxy = serve(money={**MONEY, "refuse_status": 403}, budgets=[budget(limit=0)])
    assert ask(proxy).status_code == 403


def test_a_step_in_force_shows_in_receipt_and_answer(upstream: FakeUpstream, serve: Any) -> None:
    steps = {"1%": {"rate": 0.3, "model": "m2"}, "100%": "refuse"}
    prices = {**PRICES, "m2": {"input": 100, "output": 100}}
    proxy = serve(money={**MONEY, "prices": prices}, budgets=[budget(limit="0.2", at=steps)])
    assert "x-unabridged-budget-step" not in ask(proxy).headers
    got = ask(proxy)
    assert got.headers["x-unabridged-budget-step"] == "b 1%"
    assert [seen.json["model"] for seen in upstream.seen] == ["m", "m2"]
    last = lines(proxy, 2)[-1]
    assert (last["step"], last["model"], last["sent_model"]) == ("b 1%", "m", "m2")
    assert last["nano_usd"] == 200_000


@pytest.mark.parametrize("raw", [b'{"messages":[]}', b" { } ", b'{"model":null}'])
def test_a_request_without_a_model_gets_that_of_a_step_in_force(
    upstream: FakeUpstream, serve: Any, raw: bytes
) -> None:
    prices = {**PRICES, "m2": {"input": 100, "output": 100}}
    steps = {"1%": {"model": "m2"}}
    proxy = serve(money={**MONEY, "prices": prices}, budgets=[budget(limit="0.2", at=steps)])
    ask(proxy)
    httpx.post(f"{proxy.url}/chat/completions", content=raw, timeout=5)
    assert upstream.seen[1].json == {**json.loads(raw), "model": "m2"}


def test_usage_is_asked_for_and_the_client_sees_nothing_of_it(
    upstream: FakeUpstream, serve: Any
) -> None:
    """LangChain with a base URL of its own asks for no usage: nothing could be billed."""
    plain = [delta("Hello"), delta(" there"), DONE]
    upstream.reply(events(*plain[:2], usage(40, 7), DONE))
    proxy = serve(money=MONEY, budgets=[budget()])
    got = ask(proxy, stream=True)
    assert got.content == b"".join(plain)
    assert upstream.seen[0].json["stream_options"] == {"include_usage": True}
    (line,) = lines(proxy)
    assert (line["nano_usd"], line["basis"]) == (47_000_000, "measured")


def test_a_client_that_asked_for_usage_gets_it(upstream: FakeUpstream, serve: Any) -> None:
    pieces = [delta("Hello"), usage(40, 7), DONE]
    upstream.reply(events(*pieces))
    proxy = serve(money=MONEY, budgets=[budget()])
    got = ask(proxy, stream=True, stream_options={"include_usage": True})
    assert got.content == b"".join(pieces)


# fmt: off
RESPONSE = {"id": "r", "object": "response", "status": "completed", "output": [],
            "usage": {"input_tokens": 40, "output_tokens": 7, "total_tokens": 47}}
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [],
           "stop_reason": "end_turn",
           # The Messages API counts what it reads from its cache beside the rest.
           "usage": {"input_tokens": 30, "cache_read_input_tokens": 10, "output_tokens": 7}}
COMPLETION = {"id": "c", "object": "text_completion", "model": "m",
              "choices": [{"index": 0, "text": "Hello", "finish_reason": "stop"}],
              "usage": {"prompt_tokens": 40, "completion_tokens": 7, "total_tokens": 47}}
# fmt: on


def typed(*said: dict[str, Any]) -> list[bytes]:
    return [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in said]


NEW_SURFACES = {
    "/responses": (
        {"input": TEXT, "max_output_tokens": 10},
        RESPONSE,
        typed({"type": "response.completed", "response": RESPONSE}),
    ),
    "/completions": (
        {"prompt": TEXT, "max_tokens": 10},
        COMPLETION,
        [b"data: " + json.dumps(COMPLETION).encode() + b"\n\n", DONE],
    ),
    "/messages": (
        {"messages": [{"role": "user", "content": TEXT}], "max_tokens": 10},
        MESSAGE,
        typed(
            {"type": "message_start", "message": {**MESSAGE, "usage": {
                "input_tokens": 30, "cache_read_input_tokens": 10, "output_tokens": 1}}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
             "usage": {"output_tokens": 7}},
            {"type": "message_stop"},
        ),
    ),
}  # fmt: skip


def test_only_what_a_mark_caches_is_reserved_at_the_price_of_writing(
    upstream: FakeUpstream, serve: Any
) -> None:
    prices = {"m": {"input": 1000, "output": 1000, "cache_write": 5000}}
    proxy = serve(money={**MONEY, "prices": prices}, budgets=[budget(limit=9)], policy="off")
    for mark in ({}, {"cache_control": {"type": "ephemeral"}}):
        part = {"type": "text", "text": TEXT, **mark}
        body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [part]}]}
        httpx.post(f"{proxy.url}/messages", json=body, timeout=30)
    plain, marked = (line["reserved_nano_usd"] for line in lines(proxy, 2))
    assert marked - 1_000_000 == 5 * (plain - 1_000_000)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("path", NEW_SURFACES)
def test_every_surface_is_reserved_by_its_limit_and_charged_by_its_usage(
    upstream: FakeUpstream, serve: Any, path: str, stream: bool
) -> None:
    body, whole, pieces = NEW_SURFACES[path]
    proxy = serve(money=MONEY, budgets=[budget()], policy="off")
    held: list[tuple[int, int]] = []

    def by_turns(_: Any) -> Any:
        held.append(levels(proxy))
        return events(*pieces) if stream else answer(json.dumps(whole).encode())

    upstream.reply(by_turns)
    asked = {"model": "m", "stream": stream, **body}
    assert httpx.post(proxy.url + path, json=asked, timeout=30).status_code == 200
    (line,) = lines(proxy)
    texts = counter("m", None)(TEXT)
    overhead = line["reserved_nano_usd"] // 1_000_000 - texts - 10
    assert held == [(0, line["reserved_nano_usd"])]
    assert 0 <= overhead <= 24  # what a template of chat adds at most
    assert (line["input_tokens"], line["output_tokens"]) == (40, 7)
    assert (line["nano_usd"], line["basis"]) == (47_000_000, "measured")
    assert levels(proxy) == (47_000_000, 0)


def test_without_a_budget_no_byte_is_changed_and_the_line_is_estimated(
    upstream: FakeUpstream, serve: Any
) -> None:
    upstream.reply(streamed("one two three"))
    proxy = serve(money=MONEY, policy="off")
    got = ask(proxy, stream=True)
    assert got.content == b"".join([delta("one"), delta(" two"), delta(" three"), DONE])
    assert "stream_options" not in upstream.seen[0].json
    (line,) = lines(proxy)
    assert line["basis"] == "estimated"
    assert line["output_tokens"] == 3
    assert line["input_tokens"] > 10


def test_a_stream_that_breaks_off_is_charged_for_what_came(
    upstream: FakeUpstream, serve: Any
) -> None:
    """LiteLLM #14457, #13245, #17364."""
    upstream.reply(events(delta("one two three"), Cut))
    proxy = serve(money=MONEY, budgets=[budget()])
    ask(proxy, stream=True)
    (line,) = lines(proxy)
    assert (line["basis"], line["output_tokens"]) == ("partial", 3)
    assert line["nano_usd"] > 3_000_000
    assert levels(proxy) == (line["nano_usd"], 0)


def leave(proxy: Proxy) -> None:
    """Reads one piece of a stream and goes."""
    body = {"model": "m", "messages": [{"role": "user", "content": TEXT}], "stream": True}
    with httpx.stream("POST", f"{proxy.url}/chat/completions", json=body, timeout=30) as got:
        next(got.iter_raw())


def test_when_the_client_goes_abort_charges_what_was_read(
    upstream: FakeUpstream, serve: Any
) -> None:
    upstream.reply(events(delta("one two three"), Hang))
    proxy = serve(money=MONEY, budgets=[budget()])
    leave(proxy)
    upstream.wait_left()
    (line,) = lines(proxy)
    assert (line["basis"], line["output_tokens"]) == ("partial", 3)
    assert levels(proxy)[1] == 0


def test_a_client_that_goes_while_its_request_is_charged_leaves_nothing_behind(
    upstream: FakeUpstream, serve: Any
) -> None:
    """Nobody would have freed what it had reserved: its lease was renewed for ever."""
    upstream.reply(Reply(pieces=[b'{"half', 0.3, Cut], framing="chunked"))
    proxy = serve(money=MONEY, budgets=[budget()], policy="off")
    counting, gone = threading.Event(), threading.Event()
    body = {"model": "m", "messages": [{"role": "user", "content": TEXT}]}
    with httpx.stream("POST", f"{proxy.url}/chat/completions", json=body, timeout=30) as got:
        # What counts the answer waits for its turn.
        proxy.app.exchange.reading._pool.submit(lambda: (counting.set(), gone.wait(10)))
        counting.wait(10)
        pieces = got.iter_raw()
        assert next(pieces) == b'{"half'
        time.sleep(0.6)
    time.sleep(0.2)
    gone.set()
    (line,) = lines(proxy)
    assert line["basis"] == "partial"
    assert levels(proxy) == (line["nano_usd"], 0)


def test_when_the_client_goes_drain_charges_what_the_upstream_says(
    upstream: FakeUpstream, serve: Any
) -> None:
    """LiteLLM PR #36008: a pump that drains the upstream, and within bounds."""
    upstream.reply(events(delta("one"), 0.3, delta(" two"), usage(40, 7), DONE))
    routes = [{"policy": "fake", "on_disconnect": "drain", "drain_seconds": 5}]
    proxy = serve(money=MONEY, budgets=[budget()], routes=routes)
    leave(proxy)
    (line,) = lines(proxy)
    assert (line["basis"], line["nano_usd"]) == ("measured", 47_000_000)
    assert upstream.left == []
    assert levels(proxy) == (47_000_000, 0)


@pytest.mark.parametrize("status", [400, 429, 500])
def test_an_answer_that_is_an_error_costs_nothing(
    upstream: FakeUpstream, serve: Any, status: int
) -> None:
    upstream.reply(answer(b'{"error": {"message": "no"}}', status=status))
    proxy = serve(money=MONEY, budgets=[budget()])
    assert ask(proxy).status_code == status
    time.sleep(0.1)
    assert levels(proxy) == (0, 0)


def test_an_upstream_that_is_down_costs_nothing(serve: Any) -> None:
    proxy = serve(money=MONEY, budgets=[budget()], upstream={"url": "http://127.0.0.1:9/v1"})
    assert ask(proxy).status_code == 502
    assert levels(proxy) == (0, 0)


@pytest.mark.parametrize("path", ["/chat/completions", "/audio/speech"])
def test_an_upstream_that_accepts_no_connection_costs_nothing(serve: Any, path: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # never greets, as TLS has it
        address = f"https://127.0.0.1:{silent.getsockname()[1]}/v1"
        upstream = {"url": address, "connect_seconds": 0.2}
        proxy = serve(money=MONEY, budgets=[budget()], upstream=upstream)
        body = {"model": "m", "messages": [{"role": "user", "content": TEXT}], "input": TEXT}
        assert httpx.post(proxy.url + path, json=body, timeout=30).status_code == 504
    assert levels(proxy) == (0, 0)


def test_an_unknown_price_is_refused_where_a_budget_is_hard(
    upstream: FakeUpstream, serve: Any
) -> None:
    proxy = serve(money=MONEY, budgets=[budget()])
    got = ask(proxy, model="nobody-knows")
    assert (got.status_code, got.json()["error"]["code"]) == (402, "unpriced_model")
    assert upstream.seen == []


@pytest.mark.parametrize("path", ["embeddings", "completions", "responses", "audio/speech"])
def test_no_other_path_leads_around_a_budget(upstream: FakeUpstream, serve: Any, path: str) -> None:
    """Bifrost #2873: the passthrough endpoints were not counted."""
    proxy = serve(money=MONEY, budgets=[budget(limit=0)])
    body = {"model": "m", "input": TEXT, "prompt": TEXT}
    assert httpx.post(f"{proxy.url}/{path}", json=body).status_code == 402
    upload = httpx.post(f"{proxy.url}/{path}", files={"file": b"RIFF"})
    assert upload.json()["error"]["code"] in ("unpriced_model", "bad_json")
    assert httpx.get(f"{proxy.url}/models").status_code == 200
    assert [seen.method for seen in upstream.seen] == ["GET"]


def test_other_paths_are_charged_and_their_bytes_pass(upstream: FakeUpstream, serve: Any) -> None:
    told = b'{"data":[],"usage":{"prompt_tokens":9,"total_tokens":9}}'
    upstream.reply(answer(told))
    proxy = serve(money=MONEY, budgets=[budget()])
    raw = b'{ "model":"m" ,"input":["a",  "b"]}'
    got = httpx.post(
        f"{proxy.url}/embeddings", content=raw, headers={"content-type": "application/json"}
    )
    assert got.content == told
    assert upstream.seen[0].body == raw
    (line,) = lines(proxy)
    assert (line["nano_usd"], line["input_tokens"]) == (9_000_000, 9)


def test_a_body_that_two_parsers_read_differently_is_not_counted_but_refused(
    upstream: FakeUpstream, serve: Any
) -> None:
    """Envoy GHSA-4gph: which of two models is billed?"""
    proxy = serve(money=MONEY, budgets=[budget()])
    raw = b'{"model":"m","model":"dear","messages":[]}'
    got = httpx.post(f"{proxy.url}/chat/completions", content=raw)
    assert got.status_code == 400
    assert "stands twice" in got.json()["error"]["message"]
    assert upstream.seen == []


def test_a_cap_of_one_request_is_met_by_compressing_or_refused(
    upstream: FakeUpstream, serve: Any
) -> None:
    def squeeze(prompt: Any, plan: Any, policy: Any, *rest: Any, **named: Any) -> Any:
        keep = policy.target_tokens or 25
        plan = type(plan)(halves=tuple(max(keep, 10) for _ in plan.halves), counts=plan.counts)
        return fake_compress(prompt, plan, policy)

    proxy = serve(money=MONEY, steps=fake_steps(compress=squeeze))
    overhead = 16  # PER_MESSAGE for the message and for the answer
    cap = {"x-unabridged-max-prompt-tokens": str(overhead + 12)}
    assert ask(proxy, cap).status_code == 200
    assert upstream.seen[-1].json["messages"][0]["content"] == TEXT[:12]
    tight = ask(proxy, {"x-unabridged-max-prompt-tokens": str(overhead + 5)})
    assert tight.status_code == 402
    assert tight.json()["error"]["code"] == "request_cap_exceeded"
    cost = {"x-unabridged-max-cost": str((overhead + 11 + 100) / 1000)}
    assert ask(proxy, cost).status_code == 200
    assert upstream.seen[-1].json["messages"][0]["content"] == TEXT[:11]
    assert ask(proxy, {"x-unabridged-max-cost": "0.05"}).status_code == 402
    assert ask(proxy, {"x-unabridged-max-cost": "cheap"}).status_code == 400
    assert len(upstream.seen) == 2


def test_a_virtual_key_brings_its_team_policy_and_models(
    upstream: FakeUpstream, serve: Any
) -> None:
    proxy = serve(money=MONEY, budgets=[budget(each="user", limit="0.4")])
    ring: KeyRing = proxy.app.callers._ring
    made = {"org": "acme", "team": "research", "now_ms": 1, "models": ["m"]}
    alice, _ = ring.create(name="a", user="alice", policy="off", **made)
    bob, _ = ring.create(name="b", user="bob", **made)
    ring.refresh()
    assert ask(proxy).status_code == 401
    got = ask(proxy, {"authorization": f"Bearer {alice}"})
    assert got.headers["x-unabridged-policy"] == "off"
    assert upstream.seen[0].header("authorization") is None
    denied = ask(proxy, {"authorization": f"Bearer {alice}"}, model="m2")
    assert (denied.status_code, denied.json()["error"]["code"]) == (403, "model_not_allowed")
    ask(proxy, {"authorization": f"Bearer {bob}"})
    found = lines(proxy, 2)
    assert {(line["org"], line["team"], line["user"]) for line in found} == {
        ("acme", "research", "alice"),
        ("acme", "research", "bob"),
    }
    log = proxy.log.getvalue()
    assert alice not in log
    assert bob not in log


def test_a_store_that_dies_in_mid_load_closes_what_is_closed_and_opens_what_is_open(
    upstream: FakeUpstream, serve: Any
) -> None:
    with running_store() as store:
        proxy = serve(money=MONEY, budgets=[budget()], store={"url": url(store)})
        assert ask(proxy).status_code == 200
        lines(proxy)
        store.terminate()
        got = ask(proxy)
        assert got.status_code == 503
        assert got.json()["error"]["code"] == "budget_store_down"
        assert got.headers["retry-after"] == "1"
        assert got.headers["x-should-retry"] == "true"
        till = proxy.app.exchange.money.till
        lenient = till.book.current.all[0].model_copy(update={"store_down": "open"})
        till.book.set(lenient, now_ms=1)
        assert ask(proxy).status_code == 200
        store.start()
        # Spooled on disk, charged when the store is back, and counted from SQL.
        assert [line["nano_usd"] for line in lines(proxy, 2, seconds=20)] == [2_000_000] * 2
        assert len(till.spool) == 0


def test_the_default_database_lies_in_the_state_directory(tmp_path: Any) -> None:
    engine = open_database(database_url(None, tmp_path))
    assert (tmp_path / "ledger.db").is_file()
    engine.dispose()
