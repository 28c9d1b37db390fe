"""An upstream by its name in the configuration, and what requests to it must say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from unabridged.policies.config import Config
from unabridged.policies.config import Upstream as Settings
from unabridged.proxy.headers import first, to_upstream
from unabridged.proxy.litellm_upstream import LitellmUpstream
from unabridged.proxy.servable import operators_key
from unabridged.proxy.upstream import Answer, Call, HttpUpstream, Opened, Upstream


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


KINDS: dict[str, Callable[[str, Settings, str | None, int], HttpUpstream | LitellmUpstream]] = {
    "openai": lambda name, settings, *_: HttpUpstream(name, settings),
    "litellm": lambda name, settings, key, largest: LitellmUpstream(
        name, settings, key, largest=largest
    ),
}
"""What makes an upstream of each kind; the last argument is the most bytes of a request."""


def destinations(
    config: Config,
    environment: Mapping[str, str],
    own_keys: Callable[[], bool],
    before: Mapping[str, Destination],
) -> dict[str, Destination]:
    """The upstreams of a configuration by name. Those that are as they were `before` go on, with
    the connections that they have. Raises NotServable."""
    members: dict[str, Destination] = {}
    for name, settings in config.upstreams.items():
        key = operators_key(name, config, environment)
        known = before.get(name)
        if known is not None and known.upstream.settings == settings and known.key == key:
            members[name] = known
            continue
        upstream = KINDS[settings.kind](name, settings, key, config.server.max_body_bytes)
        members[name] = Destination(
            name=name,
            upstream=upstream,
            host=upstream.host,
            key=key,
            key_header=settings.api_key_header.encode(),
            own_keys=own_keys,
        )
    return members
