"""Connections to one upstream, kept open: httpcore2's pool, with a short cut through it.

Its own way looks through all connections when a request comes and again when an answer ends, so
that each request is the dearer the more others there are.
"""

from __future__ import annotations

import time

import httpcore2

LOOK_SECONDS = 1.0
"""How often all connections are looked through whatever happens: an idle one may have expired."""


class Pool(httpcore2.AsyncConnectionPool):
    """A request takes the first connection that is free. The pool's own way is gone when there is
    none, when others may be waiting, and when there is something to close."""

    _look_at = 0.0

    def _assign_requests_to_connections(self) -> list[httpcore2.AsyncConnectionInterface]:
        now = time.monotonic()
        if now < self._look_at and self._short_cut():
            return []
        self._look_at = now + LOOK_SECONDS
        return super()._assign_requests_to_connections()

    async def _close_connections(self, closing: list[httpcore2.AsyncConnectionInterface]) -> None:
        if closing:
            await super()._close_connections(closing)

    def _short_cut(self) -> bool:
        """True if it led to the end."""
        if len(self._connections) >= self._max_connections:
            return False
        # With room for more connections nobody waits but who has just come.
        newest = self._requests[-1] if self._requests else None
        if newest is None or not newest.is_queued():
            kept = len(self._connections) <= self._max_keepalive_connections
            return kept and not any(each.is_closed() for each in self._connections)
        for connection in self._connections:
            if connection.is_available() and not connection.has_expired():
                newest.assign_to_connection(connection)
                return True
        return False
