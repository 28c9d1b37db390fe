"""What an upstream says that it used, and what that comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from unabridged.proxy.price import SERVICE_TIERS, Price

PER_NANO = 10**6
"""Femto-dollars in a nano-dollar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Tokens of one request, as the upstream counts them. Parts are within their wholes."""

    input: int
    """The whole prompt."""
    output: int
    """All choices together, reasoning included."""
    cached: int = 0
    """Of the prompt: read from the provider's cache."""
    cache_write: int = 0
    """Of the prompt: written to the provider's cache."""
    cache_write_1h: int = 0
    """Of those: for an hour, which costs more."""
    reasoning: int = 0
    """Of the output."""
    input_audio: int = 0
    output_audio: int = 0
    searches: int = 0
    """Searches of the web."""


def used(usage: Any) -> Used | None:
    """Reads the `usage` of a chat completion, a completion, an embedding, a response or a message
    of the Messages API, which counts what it reads from and writes to its cache beside the rest.

    None if there is none, or if it is not one: then the tokens must be counted. A usage of
    zeros is one, and costs nothing.
    """
    if not isinstance(usage, Mapping):
        return None
    whole = _count(usage, "prompt_tokens", "input_tokens")
    if whole is None:
        return None
    output = _count(usage, "completion_tokens", "output_tokens") or 0
    into = _part(usage, "prompt_tokens_details", "input_tokens_details")
    out = _part(usage, "completion_tokens_details", "output_tokens_details")
    reasoning = _count(out, "reasoning_tokens") or 0
    long, tools = _part(usage, "cache_creation"), _part(usage, "server_tool_use") or into
    total = _count(usage, "total_tokens")
    if reasoning and total == whole + output + reasoning:
        output += reasoning  # some providers count it beside the answer, and add it up
    beside = _count(usage, "cache_read_input_tokens") or 0
    cached = _count(into, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens") or beside
    written = (
        _count(into, "cache_creation_tokens", "cache_write_tokens")
        or _count(usage, "cache_creation_input_tokens")
        or 0
    )
    if not into and "prompt_tokens" not in usage:
        whole += beside + (_count(usage, "cache_creation_input_tokens") or 0)
    cached = min(cached, whole)
    return Used(
        input=whole,
        output=output,
        cached=cached,
        cache_write=min(written, whole - cached),
        cache_write_1h=min(_count(long, "ephemeral_1h_input_tokens") or 0, written, whole - cached),
        reasoning=min(reasoning, output),
        input_audio=min(_count(into, "audio_tokens") or 0, whole - cached),
        output_audio=min(_count(out, "audio_tokens") or 0, output),
        searches=_count(usage, "num_search_queries") or _count(tools, "web_search_requests") or 0,
    )


def tier(service_tier: Any) -> str:
    """The price map's name of an OpenAI `service_tier`; empty: the standard one."""
    return SERVICE_TIERS.get(service_tier, "") if isinstance(service_tier, str) else ""


def cost(price: Price, used: Used, *, tier: str = "") -> int:
    """Nano-dollars, rounded up once. Prices by the length of the prompt count from its first
    token on, as providers bill them."""

    def of(tokens: int, kind: str) -> int:
        return tokens and tokens * price.rate(kind, prompt_tokens=used.input, tier=tier)

    audio_in = min(used.input_audio, used.input - used.cached - used.cache_write)
    plain_in = used.input - used.cached - used.cache_write - audio_in
    reasoning = min(used.reasoning, used.output - used.output_audio)
    plain_out = used.output - used.output_audio - reasoning
    femto = (
        of(plain_in, "input")
        + of(used.cached, "cached")
        + of(used.cache_write - used.cache_write_1h, "cache_write")
        + of(used.cache_write_1h, "cache_write_1h")
        + of(audio_in, "input_audio")
        + of(plain_out, "output")
        + of(reasoning, "reasoning")
        + of(used.output_audio, "output_audio")
        + used.searches * price.per_search
        + price.per_request
    )
    if not used.input and not used.output:
        return 0
    return -(-femto // PER_NANO)


def saved(
    price: Price, cut: int, used: Used, *, uncut_cached: int | None = None, tier: str = ""
) -> int:
    """Nano-dollars that the prompt would have cost more without the cut; negative if it would
    have cost less.

    `uncut_cached` are the tokens that the provider would have read from its cache had nothing
    been cut; None: as many as it has read now. What it writes to its cache, it would have
    written of the longer prompt too.
    """
    if not cut and uncut_cached is None:
        return 0
    whole = used.input + cut
    cached = used.cached if uncut_cached is None else min(uncut_cached, whole)
    written = max(0, used.cache_write + cut - (cached - used.cached)) if used.cache_write else 0
    uncut = replace(used, input=whole, cached=cached, cache_write=min(written, whole - cached))
    return cost(price, uncut, tier=tier) - cost(price, used, tier=tier)


def _part(usage: Mapping[Any, Any], *names: str) -> Mapping[Any, Any]:
    for name in names:
        if isinstance(usage.get(name), Mapping):
            part: Mapping[Any, Any] = usage[name]
            return part
    return {}


def _count(usage: Mapping[Any, Any], *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12:
            return value
    return None
