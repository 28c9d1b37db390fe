"""The page's API over real sockets: what was asked, saved and added is told as it is on record."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import httpx
import pytest
from conftest import Proxy
from fake_upstream import FakeUpstream
from page_client import FAKE, PATIENT, PROMPT, chat, client, shaped, soon

MONEY = {"prices": {"m": {"input": 1000, "output": 1000}}, "assumed_output": 100}
BUDGET = {"name": "all", "window": "day", "limit": 100, "at": {"70%": "warn", "100%": "refuse"}}


@pytest.fixture
def proxy(serve: Any, upstream: FakeUpstream) -> Proxy:
    keeping = {**FAKE, "rate": 0.3, "keep_text_seconds": 60}
    found: Proxy = serve(
        policies={"keeping": keeping, "fake": FAKE},
        **PATIENT,
        routes=[
            {"name": "kept", "match": {"headers": {"x-keep": "*"}}, "policy": "keeping"},
            {"name": "plain", "policy": "fake"},
        ],
        money=MONEY,
        budgets=[BUDGET],
    )
    return found


def keep(proxy: Proxy, **fields: Any) -> httpx.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": PROMPT}], **fields}
    return httpx.post(
        f"{proxy.url}/chat/completions", json=body, headers={"x-keep": "1"}, timeout=30
    )


def listed(proxy: Proxy, count: int, **wanted: Any) -> list[dict[str, Any]]:
    def look() -> Any:
        with client(proxy) as page:
            rows = shaped("Requests", page.get("/requests", params=wanted))["requests"]
        return rows if len(rows) >= count else None

    found: list[dict[str, Any]] = soon(look)
    return found


def test_the_overview_is_the_ledgers(proxy: Proxy, upstream: FakeUpstream) -> None:
    for _ in range(3):
        assert chat(proxy).status_code == 200
    listed(proxy, 3)
    with client(proxy) as page:
        told = soon(
            lambda: (
                found
                if (found := page.get("/overview?window=hour&by=model").json())["totals"][
                    "requests"
                ]
                == 3
                else None
            )
        )
        shaped("Overview", page.get("/overview?window=hour&by=model"))
    rows = proxy.app.recent()
    assert told["totals"]["nano_usd"]["total"] == sum(r.nano_usd or 0 for r in rows) > 0
    assert told["totals"]["tokens_before"]["total"] == sum(r.before for r in rows)
    assert told["totals"]["tokens_after"]["total"] == sum(r.got for r in rows)
    assert told["groups"][0]["group"] == "m"
    assert sum(told["series"][0]["requests"]) == 3
    assert len(told["starts"]) == len(told["series"][0]["requests"]) == 60
    assert told["outcomes"] == [{"what": "shortened", "requests": 3}]
    assert {"added", "split", "compress"} <= {step["step"] for step in told["steps"]}
    assert told["cache"]["hit_rate"] == pytest.approx(2 / 3)
    level = told["budgets"]["levels"][0]
    assert (level["budget"], level["limit"]) == ("all", 100 * 10**9)
    assert level["steps"] == ["70% warn", "100% refuse"]


def test_requests_are_filtered_and_come_page_by_page(proxy: Proxy, upstream: FakeUpstream) -> None:
    for _ in range(3):
        chat(proxy)
    keep(proxy)
    rows = listed(proxy, 4)
    with client(proxy) as page:
        first = page.get("/requests?count=3").json()
        second = page.get("/requests", params={"count": 3, "before": first["next"]}).json()
        assert [r["id"] for r in first["requests"] + second["requests"]] == [r["id"] for r in rows]
        assert second["next"] is None
        assert first["facets"]["route"] == ["kept", "plain"]
        kept = page.get("/requests?route=kept&outcome=shortened").json()["requests"]
        assert [r["route"] for r in kept] == ["kept"]
        assert page.get("/requests?team=nobody").json()["requests"] == []
        digits = "1" * 5000
        numbers = ("count=\u00b2", f"count={digits}", "before=\u00b2.a", f"before={digits}.a")
        for wrong in ("tem=x", "count=many", "before=yesterday", *numbers):
            assert page.get(f"/requests?{wrong}").status_code == 400


def test_a_request_opens_to_its_segments_and_no_text(proxy: Proxy, upstream: FakeUpstream) -> None:
    chat(proxy)
    row = listed(proxy, 1)[0]
    with client(proxy) as page:
        answer = page.get(f"/requests/{row['id']}")
        assert page.get("/requests/nothing").status_code == 404
    found = shaped("RequestDetail", answer)
    assert found["text"] is None
    assert "keep_text_seconds" in found["why_no_text"]
    assert "harbour" not in answer.text.lower()
    documents = [s for s in found["segments"] if s["kind"] == "document"]
    assert len(documents) == 12
    assert sum(s["tokens"] for s in found["segments"]) <= row["tokens_before"]
    assert all(s["reason"] for s in found["segments"])
    assert found["receipt"]["request_id"] == row["id"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_policy_that_keeps_text_shows_what_was_cut_and_answered(
    proxy: Proxy, upstream: FakeUpstream, stream: bool
) -> None:
    keep(proxy, stream=stream)
    row = listed(proxy, 1)[0]
    assert row["has_text"]
    with client(proxy) as page:
        found = shaped("RequestDetail", page.get(f"/requests/{row['id']}"))
    text = found["text"]
    assert "".join(s["text"] for s in text["segments"]) == PROMPT
    sent = "".join(s["text"][a:b] for s in text["segments"] for a, b in s["kept"])
    assert 0 < len(sent) < len(PROMPT)
    assert [a["place"] for a in text["answers"]] == ["choices[0].message.content"]
    assert text["answers"][0]["came"]


def test_what_is_new_is_told_without_asking(proxy: Proxy, upstream: FakeUpstream) -> None:
    heard: list[dict[str, Any]] = []
    listening = threading.Event()

    def listen() -> None:
        with client(proxy) as page, page.stream("GET", "/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            for line in stream.iter_lines():
                listening.set()
                if line.startswith("data:"):
                    heard.append(json.loads(line[5:]))
                    return

    thread = threading.Thread(target=listen)
    thread.start()
    assert listening.wait(5)
    time.sleep(0.2)
    chat(proxy)
    thread.join(10)
    assert [row["outcome"] for row in heard[0]["requests"]] == ["shortened"]
    assert heard[0]["missed"] == 0


def test_a_listener_does_not_hold_up_the_end(serve: Any, upstream: FakeUpstream) -> None:
    proxy = serve()
    with client(proxy) as page, page.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 3000"
        proxy.server.should_exit = True
        end = time.monotonic()
        for _ in lines:
            pass
        assert time.monotonic() - end < 3


@pytest.mark.parametrize(
    "asked", ["window=year", "span=next", "by=user", "time_zone=Mars/Olympus", "by="]
)
def test_a_wrong_overview_is_refused_by_name(proxy: Proxy, asked: str) -> None:
    with client(proxy) as page:
        answer = page.get(f"/overview?{asked}")
    assert answer.status_code == 400
    assert asked.partition("=")[0].replace("_", " ") in answer.json()["error"]["message"]
