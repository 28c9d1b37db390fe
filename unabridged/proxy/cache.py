"""Where compressed contexts are remembered: in this process, or in a store that replicas share."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import redis

from unabridged.proxy.store_client import STORE_ERRORS

FAILURES = 5
"""Failures in a row after which the store is left alone."""
REST_SECONDS = 5.0
"""How long it is left alone before one request tries again."""


class StoreDown(Exception):
    """The store does not answer, or not in time."""


class Cache(Protocol):
    """Bytes by key, each with a lifetime. All methods raise StoreDown."""

    def get(self, keys: Sequence[str]) -> list[bytes | None]: ...

    def put(self, values: Mapping[str, bytes], *, seconds: int) -> None: ...

    def claim(self, key: str, *, seconds: float) -> bool:
        """True if nobody else holds the key; then it is held for so long."""
        ...


class MemoryCache:
    """A Cache in this process; when it is full, what was not used for longest goes."""

    def __init__(
        self, *, max_bytes: int = 64 * 2**20, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._size = 0
        self._values: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        with self._lock:
            return [self._get(key) for key in keys]

    def put(self, values: Mapping[str, bytes], *, seconds: int) -> None:
        with self._lock:
            for key, value in values.items():
                self._drop(key)
                self._values[key] = (self._clock() + seconds, value)
                self._size += len(value)
            while self._size > self._max_bytes:
                self._drop(next(iter(self._values)))

    def claim(self, key: str, *, seconds: float) -> bool:
        with self._lock:
            if self._get(key) is not None:
                return False
            self._values[key] = (self._clock() + seconds, b"")
            return True

    def _get(self, key: str) -> bytes | None:
        found = self._values.get(key)
        if found is None:
            return None
        if found[0] <= self._clock():
            self._drop(key)
            return None
        self._values.move_to_end(key)
        return found[1]

    def _drop(self, key: str) -> None:
        gone = self._values.pop(key, None)
        if gone is not None:
            self._size -= len(gone[1])


class Breaker:
    """Leaves a failing store alone, so that requests do not wait for it one by one.

    After FAILURES failures in a row nothing is tried for REST_SECONDS; then one call is, and
    its outcome decides.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_rest: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_rest` is called whenever the store begins to be left alone."""
        self._clock = clock
        self._on_rest = on_rest
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_until = 0.0

    @property
    def open(self) -> bool:
        """True while the store is left alone."""
        return self._failures >= FAILURES and self._clock() < self._closed_until

    def admit(self) -> None:
        """Raises StoreDown while the store is left alone."""
        with self._lock:
            if self._failures < FAILURES:
                return
            if self._clock() < self._closed_until:
                raise StoreDown("the store failed again and again and is left alone for a while")
            self._closed_until = self._clock() + REST_SECONDS

    def worked(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._closed_until = self._clock() + REST_SECONDS
            resting = self._failures >= FAILURES
        if resting:
            self._on_rest()


class RedisCache:
    """A Cache in Redis or Valkey. Synchronous, for the worker threads."""

    def __init__(self, client: redis.Redis, breaker: Breaker) -> None:
        self._client = client
        self._breaker = breaker

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        return list(self.do(lambda client: client.mget(keys)))

    def put(self, values: Mapping[str, bytes], *, seconds: int) -> None:
        def write(client: Any) -> None:
            with client.pipeline(transaction=False) as pipe:
                for key, value in values.items():
                    pipe.set(key, value, ex=seconds)
                pipe.execute()

        self.do(write)

    def claim(self, key: str, *, seconds: float) -> bool:
        milliseconds = max(1, int(seconds * 1000))
        return bool(self.do(lambda client: client.set(key, b"1", nx=True, px=milliseconds)))

    def push(self, key: str, lines: list[str], *, most: int) -> None:
        """Puts lines in front of a list that never holds more than `most`."""

        def write(client: Any) -> None:
            with client.pipeline(transaction=False) as pipe:
                pipe.lpush(key, *lines)
                pipe.ltrim(key, 0, most - 1)
                pipe.execute()

        self.do(write)

    def newest(self, key: str, count: int) -> list[str]:
        """The first lines of a list."""
        return [line.decode() for line in self.do(lambda client: client.lrange(key, 0, count - 1))]

    def ping(self) -> None:
        """Raises StoreDown."""
        self.do(lambda client: client.ping())

    def do(self, command: Callable[[Any], Any]) -> Any:
        """What a command makes of the client. Raises StoreDown."""
        self._breaker.admit()
        try:
            result = command(self._client)
        except STORE_ERRORS as error:
            self._breaker.failed()
            raise StoreDown(type(error).__name__) from error
        self._breaker.worked()
        return result
