"""A request is read once, counted as it comes, and dropped when its client goes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from unabridged.proxy.errors import BadPath, ClientGone, TooLarge
from unabridged.proxy.request import Request


def request(
    messages: Iterable[dict[str, Any]] = (), limit: int = 10, **scope: Any
) -> tuple[Request, list[Any]]:
    waiting = list(messages)
    sent: list[Any] = []

    async def receive() -> Any:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    whole = {
        "method": "POST", "path": "/v1/x", "raw_path": b"/v1/x", "query_string": b"",
        "headers": [], **scope,
    }  # fmt: skip
    return Request(whole, receive, send, max_body_bytes=limit), sent


def piece(body: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}


def test_the_body_is_joined() -> None:
    one, _ = request([piece(b"ab", True), piece(b"", True), piece(b"c", False)])
    assert asyncio.run(one.body()) == b"abc"


def test_what_really_comes_is_counted() -> None:
    one, _ = request([piece(b"x" * 6, True), piece(b"x" * 5, True)])
    with pytest.raises(TooLarge, match=r"server\.max_body_bytes"):
        asyncio.run(one.body())


def test_a_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    one, _ = request(headers=[(b"content-length", b"11")])
    with pytest.raises(TooLarge):
        asyncio.run(one.body())


def test_a_client_that_leaves_in_mid_body_is_gone() -> None:
    one, _ = request([piece(b"x", True), GONE])
    with pytest.raises(ClientGone):
        asyncio.run(one.body())


@pytest.mark.parametrize("path", ["/v1/..", "/v1/./a", "/v1/a/../../b", "/v1/..\\..\\b"])
def test_a_path_that_climbs_has_no_target(path: str) -> None:
    one, _ = request(path=path)
    with pytest.raises(BadPath):
        _ = one.target


def test_the_target_is_what_stands_behind_v1() -> None:
    one, _ = request(path="/v1/a b", raw_path=b"/v1/a%20b", query_string=b"c=%41")
    assert one.target == b"/a%20b?c=%41"


def test_a_leaving_client_stops_the_work_and_lets_it_clean_up() -> None:
    one, _ = request([piece(b"", False), GONE])
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0)
            cleaned.append("yes")

    async def main() -> None:
        await one.body()
        with pytest.raises(ClientGone):
            await one.while_there(work())

    asyncio.run(main())
    assert cleaned == ["yes"]


def test_the_goodbye_after_a_complete_answer_is_no_leaving() -> None:
    one, sent = request([piece(b"", False), GONE])

    async def work() -> str:
        await one.send({"type": "http.response.body", "body": b"", "more_body": False})
        await asyncio.sleep(0.05)
        return "done"

    async def main() -> str:
        await one.body()
        return await one.while_there(work())

    assert asyncio.run(main()) == "done"
    assert len(sent) == 1


def test_a_body_is_announced_by_length_or_by_chunks() -> None:
    for headers, has in (
        ([], False),
        ([(b"content-length", b"0")], False),
        ([(b"content-length", b"2")], True),
        ([(b"transfer-encoding", b"chunked")], True),
    ):
        assert request(headers=headers)[0].has_body is has
