"""Makes the clients of a store from its URL: of one server, or of a cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry

CONNECTIONS = 16
"""Of one process to one server; more requests at once take turns, for an answer takes a tenth of
a ms."""
CLUSTER_MS = 500
CONNECT_SECONDS = 2.0
"""Longest wait for a connection, and for its end, where whoever asks sees to the time."""
STORE_ERRORS = (RedisError, RedisClusterException, OSError)
"""What the clients raise when the store does not answer as it should."""
_CLUSTER = "+cluster"


class BadStoreUrl(ValueError):
    """The URL cannot be that of a store; the text says why."""


def connect(url: str, *, timeout_ms: int) -> redis.Redis:
    """A client that never waits longer than `timeout_ms` for one answer and never tries again by
    itself. `url` is redis://, rediss:// or unix://PATH, or redis+cluster:// or rediss+cluster://
    of any node of a cluster. Raises BadStoreUrl."""
    settings = _settings(timeout_ms) | {"retry": Retry(NoBackoff(), 0)}
    node = _node(url)
    if node is None:
        return redis.Redis.from_url(url, **settings)
    return cast(redis.Redis, _Late(lambda: _Cluster.from_url(node, **settings)))


def connect_async(url: str, *, timeout_ms: int | None) -> redis.asyncio.Redis:
    """The same for asyncio, with answers as text. Without `timeout_ms` whoever asks ends what
    takes too long; but the client of a cluster has CLUSTER_MS for each answer, for it needs to
    notice by itself that a node is gone."""
    node = _node(url)
    if node is not None and timeout_ms is None:
        timeout_ms = CLUSTER_MS
    settings = _settings(timeout_ms) | {"decode_responses": True}
    if node is not None:
        # A pipeline asks for the cluster's nodes anew only when it tries again, so it does once:
        # or else it would go on asking a node that another one has replaced.
        retry = AsyncRetry(NoBackoff(), 1)
        return cast(redis.asyncio.Redis, _AsyncCluster.from_url(node, retry=retry, **settings))
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=None if timeout_ms is None else timeout_ms / 1000,
        retry=AsyncRetry(NoBackoff(), 0),
        **settings,
    )
    return redis.asyncio.Redis.from_pool(pool)


async def close(client: redis.asyncio.Redis) -> None:
    """Ends all connections of a client."""
    await client.aclose()
    pool = getattr(client, "connection_pool", None)
    if pool is not None:
        # A pool that is not empty imports a module when it is collected. At the end of a process
        # that is still loading a model in a thread, that would wait for ever.
        pool.reset()


def _settings(timeout_ms: int | None) -> dict[str, Any]:
    seconds = None if timeout_ms is None else timeout_ms / 1000
    return {
        "socket_timeout": seconds,
        "socket_connect_timeout": CONNECT_SECONDS if seconds is None else seconds,
        "health_check_interval": 0,
        "protocol": 2,
    }


def _node(url: str) -> str | None:
    """The URL of one node, as the library wants it; None: it is no cluster's."""
    scheme, separator, rest = url.partition("://")
    if not scheme.endswith(_CLUSTER):
        return None
    node = scheme.removesuffix(_CLUSTER) + separator + rest
    parts = urlsplit(node)
    named = {parts.path.strip("/"), *parse_qs(parts.query).get("db", [])} - {"", "0"}
    if named:
        raise BadStoreUrl(
            f"the store is a cluster, which has database 0 only, not {', '.join(sorted(named))}: "
            f"take it out of store.url or REDIS_URL"
        )
    if not parts.hostname:
        raise BadStoreUrl(
            "the URL of a cluster names one of its nodes, such as redis+cluster://localhost:6379 "
            "(store.url or REDIS_URL)"
        )
    return node


class _Cluster(redis.RedisCluster):
    def determine_slot(self, *args: Any) -> int | None:
        # The library would ask the store each time which arguments of a function are keys.
        if args[0] == "FCALL" and int(args[2]):
            return int(self.keyslot(args[3]))  # type: ignore[no-untyped-call]
        return super().determine_slot(*args)

    def mget(self, keys: Any, *more: Any) -> Any:
        # Nobody here needs all values to be of one moment, and keys may be on several nodes.
        return self.mget_nonatomic(keys, *more)


class _AsyncCluster(redis.asyncio.RedisCluster):
    async def _determine_slot(self, command: str, *args: Any) -> int:
        # As above. If the library calls this otherwise one day, it costs a round trip.
        if command == "FCALL" and int(args[1]):
            return int(self.keyslot(args[2]))
        return int(await super()._determine_slot(command, *args))


class _Late:
    """A client that is made when it is first used: that of a cluster asks for its nodes at once,
    and a proxy starts even when its store does not answer."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = self._make()
        return getattr(self._made, name)
