"""Through a forward proxy that the environment names, on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fake_upstream import Cut, FakeUpstream, Hang, Reply, answer
from test_upstream import call, using

from unabridged.proxy.detour import environment_proxy
from unabridged.proxy.errors import UpstreamDown, UpstreamSlow
from unabridged.proxy.upstream import HttpUpstream


@pytest.fixture
def far(upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> FakeUpstream:
    """Stands for the forward proxy and for the upstream behind it."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{upstream.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    upstream.url = "http://upstream.example/v1"
    return upstream


def test_the_proxy_is_asked_for_the_upstreams_own_address(far: FakeUpstream) -> None:
    far.reply(answer(b"hello", headers=[("X-Odd", "1")]))

    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"

    got = using(far, lambda up: up.send(call(pieces())))
    assert (got.status, got.body) == (200, b"hello")
    assert (b"X-Odd", b"1") in got.headers
    assert far.seen[0].head.startswith(b"POST http://upstream.example/v1/a%2fb?c=%20 HTTP/1.1\r\n")
    assert b"\r\nX-Odd-CASE: \xe9\r\n" in far.seen[0].head
    assert far.seen[0].body == b"ab"


def test_what_fails_is_told_as_on_the_straight_way(far: FakeUpstream) -> None:
    far.reply(Reply(before=[Hang]))
    with pytest.raises(UpstreamSlow, match=r"upstreams\.up\.first_byte_seconds"):
        using(far, lambda up: up.send(call()), first_byte_seconds=0.05, connect_seconds=0.05)
    far.reply(Reply(pieces=[b"first", Hang], framing="chunked"))
    with pytest.raises(UpstreamSlow, match=r"upstreams\.up\.idle_seconds"):
        using(far, lambda up: up.send(call()), idle_seconds=0.05)
    for broken in (Reply(before=[Cut]), Reply(pieces=[b"x", 0.02, Cut], framing="chunked")):
        far.reply(broken)
        with pytest.raises(UpstreamDown):
            using(far, lambda up: up.send(call()))


def test_leaving_in_mid_answer_closes_the_connection(far: FakeUpstream) -> None:
    far.reply(Reply(pieces=[b"first", Hang], framing="chunked"))

    async def first_piece(up: HttpUpstream) -> bytes:
        async with up.stream(call()) as opened:
            async for piece in opened.pieces():
                return piece
        return b""

    assert using(far, first_piece) == b"first"
    far.wait_left()


def test_loopback_and_what_the_environment_excepts_are_reached_straight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert environment_proxy("https", "api.example") == "http://proxy.example:3128"
    for near in ("localhost", "127.0.0.1", "::1", "inside.example"):
        assert environment_proxy("https", near) is None
    assert environment_proxy("http", "api.example") is None
