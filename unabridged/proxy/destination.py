"""An upstream by its name in the configuration, and what requests to it must say."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from unabridged.policies.config import Upstream as Settings
from unabridged.proxy.headers import first, to_upstream
from unabridged.proxy.upstream import Answer, Call, Opened, Upstream


class Configured(Upstream, Protocol):
    """An Upstream that was made by what the configuration says of it."""

    settings: Settings

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """An Upstream that takes requests as their callers wrote them."""

    name: str
    upstream: Configured
    host: bytes
    key: str | None
    """The operator's credential; None: the caller's own goes on."""
    key_header: bytes
    """Where the upstream looks for it."""
    own_keys: Callable[[], bool]
    """True if callers present keys of ours, which never go on; the first key can be made while
    the proxy runs."""

    async def send(self, call: Call) -> Answer:
        return await self.upstream.send(self.addressed(call))

    def stream(self, call: Call) -> AbstractAsyncContextManager[Opened]:
        return self.upstream.stream(self.addressed(call))

    @property
    def takes_no_key_of_the_caller(self) -> bool:
        """True if what a caller presents as a key must not go on."""
        return self.key is not None or self.own_keys()

    def addressed(self, call: Call) -> Call:
        """The call as this upstream is to see it."""
        headers = to_upstream(
            call.headers,
            host=self.host,
            key=self.key,
            key_header=self.key_header,
            own_keys=self.own_keys(),
            length=len(call.body) if isinstance(call.body, bytes) and call.rewritten else None,
        )
        if not isinstance(call.body, bytes) and first(headers, b"content-length") is None:
            headers = [*headers, (b"transfer-encoding", b"chunked")]
        return replace(call, headers=headers)
