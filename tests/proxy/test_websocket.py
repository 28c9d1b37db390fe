"""A WebSocket from a client to an upstream and back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import Proxy
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_sockets
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

Serve = Callable[..., Proxy]


class Echo:
    """An upstream that sends back what comes, and remembers the handshake."""

    def __enter__(self) -> Echo:
        self.headers: Any = None
        self.path = ""
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        opening = asyncio.run_coroutine_threadsafe(self._open(), self._loop)
        self._server = opening.result(10)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.call_later, 0.2, self._loop.stop)

    async def _open(self) -> Any:
        return await serve_sockets(
            self._talk,
            "127.0.0.1",
            0,
            subprotocols=["realtime"],
            max_size=None,  # type: ignore[list-item]
        )

    async def _talk(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.headers, self.path = socket.request.headers, socket.request.path
        async for said in socket:
            if said == "close":
                return await socket.close(4001, "enough")
            await socket.send(said)


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as running:
        yield running


def address(proxy: Proxy) -> str:
    return proxy.url.replace("http", "ws") + "/realtime?model=gpt-realtime"


def test_messages_protocol_headers_and_close_code_pass(echo: Echo, serve: Serve) -> None:
    proxy = serve(upstream={"url": echo.url})
    headers = {"authorization": "Bearer mine", "openai-beta": "realtime=v1"}
    with connect(
        address(proxy),
        subprotocols=["other", "realtime"],
        additional_headers=headers,
        max_size=None,
    ) as socket:
        assert socket.subprotocol == "realtime"
        for said in ("안녕", b"\x00\xff", "x" * 2_000_000):
            socket.send(said)
            assert socket.recv(timeout=20) == said
        socket.send("close")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "enough")
    assert echo.path == "/v1/realtime?model=gpt-realtime"
    assert echo.headers["authorization"] == "Bearer mine"
    assert echo.headers["openai-beta"] == "realtime=v1"


def test_a_key_of_ours_opens_the_socket_and_never_goes_on(
    echo: Echo, serve: Serve, tmp_path: Any
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("ada research " + "k" * 40)
    keys.chmod(0o600)
    proxy = serve(upstream={"url": echo.url}, server={"keys_file": str(keys)})
    with pytest.raises(InvalidStatus) as refused:
        connect(address(proxy))
    assert refused.value.response.status_code == 401
    headers = {"authorization": "Bearer " + "k" * 40}
    protocols: Any = ["realtime", "openai-insecure-api-key." + "k" * 40]
    with connect(address(proxy), additional_headers=headers, subprotocols=protocols) as socket:
        socket.send("hi")
        assert socket.recv(timeout=20) == "hi"
    assert "k" * 40 not in str(echo.headers)


def test_a_key_that_is_held_to_models_opens_no_socket_to_another(echo: Echo, serve: Serve) -> None:
    proxy = serve(upstream={"url": echo.url})
    protocols: Any = ["realtime"]
    ring = proxy.app.callers._ring
    for models, opens in ((["gpt-4o*"], False), (["gpt-realtime*"], True)):
        secret, _ = ring.create(name=models[0], org="acme", now_ms=1, models=models)
        ring.refresh()
        headers = {"authorization": f"Bearer {secret}"}
        refused = contextlib.nullcontext() if opens else pytest.raises(InvalidStatus, match="403")
        with refused, connect(address(proxy), additional_headers=headers, subprotocols=protocols):
            assert opens
        assert (echo.headers is not None) == opens
    two = address(proxy).partition("?")[0] + "?model=gpt-4o&model=gpt-realtime"
    with pytest.raises(InvalidStatus, match="403"), connect(two, additional_headers=headers):
        pass


def test_the_address_of_a_socket_names_the_model_that_a_route_asks_for(
    echo: Echo, serve: Serve, upstream: Any
) -> None:
    other = {"default": {"url": upstream.url}, "echo": {"url": echo.url}}
    protocols: Any = ["realtime"]
    route = {"policy": "free", "upstream": "default"}
    proxy = serve(
        upstreams=other,
        routes=[{**route, "upstream": "echo", "match": {"model": "gpt-realtime*"}}, route],
        policies={"free": {"compressor": "off", "allow": ["upstream"]}},
    )
    for address_, headers in (
        (address(proxy), {}),
        (proxy.url.replace("http", "ws") + "/realtime", {"x-unabridged-upstream": "echo"}),
    ):
        with connect(address_, additional_headers=headers, subprotocols=protocols) as socket:
            socket.send("hi")
            assert socket.recv(timeout=20) == "hi"


def test_what_the_upstream_refuses_is_refused_in_its_words(upstream: Any, serve: Serve) -> None:
    from fake_upstream import answer

    upstream.reply(answer(b'{"error": {"message": "no"}}', status=403))
    with pytest.raises(InvalidStatus) as refused:
        connect(address(serve()))
    assert refused.value.response.status_code == 403
    assert b"no" in (refused.value.response.body or b"")


def test_no_key_follows_a_redirect(echo: Echo, upstream: Any, serve: Serve) -> None:
    from fake_upstream import Reply

    elsewhere = echo.url.replace("http", "ws") + "/realtime"
    upstream.reply(Reply(status=302, headers=[("Location", elsewhere)]))
    settings = {"url": upstream.url, "api_key_env": "K", "api_key_header": "api-key"}
    proxy = serve(upstream=settings, environment={"K": "operator-secret"})
    protocols: Any = ["realtime"]
    with pytest.raises(InvalidStatus) as refused:
        connect(address(proxy), subprotocols=protocols)
    assert refused.value.response.status_code == 302
    assert echo.headers is None


def test_a_provider_through_litellm_has_no_socket(echo: Echo, serve: Serve) -> None:
    proxy = serve(upstream={"kind": "litellm", "provider": "anthropic", "url": echo.url})
    with pytest.raises(InvalidStatus, match="404"):
        connect(address(proxy))
    assert echo.headers is None


class Tunnel:
    """A forward proxy that opens every tunnel to one port, and remembers where it should lead."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked = ""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._open, daemon=True).start()

    def _open(self) -> None:
        near, _ = self._server.accept()
        self.asked = near.recv(65536).split(b"\r\n")[0].decode()
        far = socket.create_connection(("127.0.0.1", self._port))
        near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(65536):
                other.sendall(piece)
            other.shutdown(socket.SHUT_WR)


def test_a_socket_goes_through_the_proxy_that_the_environment_names(
    echo: Echo, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    tunnel = Tunnel(int(echo.url.removesuffix("/v1").rpartition(":")[2]))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{tunnel.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    proxy = serve(upstream={"url": "http://upstream.example/v1"})
    protocols: Any = ["realtime"]
    with connect(address(proxy), subprotocols=protocols, proxy=None) as open_socket:
        open_socket.send("hi")
        assert open_socket.recv(timeout=20) == "hi"
    assert tunnel.asked == "CONNECT upstream.example:80 HTTP/1.1"


def test_no_socket_leads_around_a_budget(echo: Echo, serve: Serve) -> None:
    budgets = [{"name": "b", "limit": 1, "window": "day"}]
    proxy = serve(upstream={"url": echo.url}, budgets=budgets)
    with pytest.raises(InvalidStatus) as refused:
        connect(address(proxy))
    assert b"websocket_not_counted" in (refused.value.response.body or b"")
    assert echo.headers is None
