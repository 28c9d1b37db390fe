"""What is written to a connection in one turn of the event loop goes out as one: a head with the
body behind it costs one call of the system, and wakes the other side once."""

from __future__ import annotations

import asyncio
from typing import Any


class Corked:
    """A transport that gathers what is written until the turn ends. All else is the transport's."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> None:
        if not self._pieces:
            self._loop.call_soon(self._send)
        self._pieces.append(piece)

    def close(self) -> None:
        """What was written still goes out."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        pieces, self._pieces = self._pieces, []
        if pieces and not self._transport.is_closing():
            self._transport.writelines(pieces)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
