"""What goes to the upstream in place of a body, and how it came about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from unabridged.compression.plan import Plan
from unabridged.compression.prompt import Compressed
from unabridged.proxy.detail import Seen
from unabridged.proxy.gate import Gate
from unabridged.proxy.prefixes import Known, Mark
from unabridged.proxy.price import Price
from unabridged.proxy.receipt import CacheDepth, CacheUse


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCache:
    """Tokens of a prompt that the provider has likely in its cache."""

    uncut: int
    """Had it always been sent as it came."""
    sent: int
    """As it is sent."""

    def without_us(self, seen: int) -> int:
        """What it would have had of the uncut prompt, given what it has `seen` of the one that
        was sent: one that has nothing of what it should have would have had nothing either."""
        return 0 if self.sent and not seen else self.uncut


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The body that goes to the upstream, and how it came about."""

    body: bytes
    compressed: Compressed | None = None
    """What recovery needs; None: the body is the caller's own, and so is the answer."""
    tokens_before: Mapping[str, int] = field(default_factory=dict)
    """By kind of segment; empty if nothing was counted."""
    tokens_after: Mapping[str, int] = field(default_factory=dict)
    asked: int | None = None
    cache: CacheUse = "off"
    depth: CacheDepth = ""
    gate: Gate = field(default_factory=Gate)
    cached: ProviderCache | None = None
    """What the provider has likely in its cache of this prompt; None: nothing is known."""
    note: Callable[[], None] | None = None
    """To be called in a thread once the upstream has taken the body: the next request of the
    conversation will know."""
    reason: str = ""
    """Why the body is the caller's own; empty if it was shortened."""
    failed_step: str = ""
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    seen: Seen | None = None
    """The prompt as it was found, shortened or not; None: our work did not get so far."""


def provider_cache(
    found: tuple[Mark, ...], known: list[Known | None], price: Price | None
) -> ProviderCache | None:
    """None if no beginning of the prompt went out lately."""
    pairs = [(m, k) for m, k in zip(found, known, strict=True) if k is not None]
    if not pairs or price is None:
        return None
    uncut = max(k.whole for _, k in pairs)
    sent = max((k.sent for m, k in pairs if k.cut == m.cut), default=0)
    least = price.cache_minimum
    return ProviderCache(uncut=uncut if uncut >= least else 0, sent=sent if sent >= least else 0)


def by_kind(compressed: Compressed, counts: tuple[int, ...]) -> dict[str, int]:
    """Tokens of all segments of a kind."""
    found: dict[str, int] = {}
    for segment, count in zip(compressed.prompt.segments, counts, strict=True):
        found[segment.kind] = found.get(segment.kind, 0) + count
    return found


def why_untouched(compressed: Compressed, plan: Plan) -> str:
    """Why the original is sent although nothing failed; empty if something was cut."""
    if sum(compressed.tokens_after) < sum(compressed.tokens_before):
        return ""
    longest = max(
        range(len(compressed.why)), key=lambda i: compressed.tokens_before[i], default=None
    )
    if compressed.prompt.note or plan.why:
        segments = compressed.prompt.segments
        kept = segments[longest].why if longest is not None and segments[longest].protected else ""
        return "; ".join(filter(None, (compressed.prompt.note or plan.why, kept)))
    return "nothing was found to cut" if longest is None else compressed.why[longest]
