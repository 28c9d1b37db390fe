"""The most that a request can cost, before it is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from unabridged.proxy.price import Price
from unabridged.proxy.usage import PER_NANO, tier

DEFAULT_OUTPUT = 16_384
"""Tokens of an answer where neither the request nor the price map says how long it may be."""
PER_MESSAGE = 8
"""Tokens that a chat template adds to each message, and to the answer's beginning, at most."""
PER_PICTURE = 3_000
"""Tokens for a picture: more than nearly all providers count for one in high detail."""
PER_AUDIO_BYTE = 1 / 100
"""Tokens for a byte of sound in base64: 16 kHz PCM is ten tokens a second, compressed more."""
PER_COMPLETION = 16
"""Tokens of an answer of the older API where the request does not say."""
LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
"""Where a request says how long an answer may be."""
_SCHEMAS = ("tools", "functions", "response_format", "tool_choice", "function_call", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a request asks for, as far as it costs money."""

    input_tokens: int
    """The prompt as it is sent, by the upstream's tokenizer, all overhead included."""
    max_output: int | None = None
    """What the request says an answer may have; None: nothing."""
    answers: int = 1
    """`n` or `best_of`, whichever is larger."""
    tier: str = ""
    """Service tier, as the price map calls it."""
    writes_cache: bool = False
    """True if the request marks what the provider shall cache, at a price of its own."""
    searches: bool = False
    """True if the provider may search the web."""
    held: bool = False
    """True if the provider adds to the prompt what it holds by an id; how much, nobody can tell."""

    def cut_to(self, input_tokens: int) -> Wanted:
        """The same with a shorter prompt."""
        return replace(self, input_tokens=input_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An upper bound."""

    nano_usd: int | None
    """None: the price is not known."""
    input_tokens: int
    output_tokens: int

    @property
    def tokens(self) -> int:
        """Prompt and answers."""
        return self.input_tokens + self.output_tokens


_HELD = ("previous_response_id", "conversation")
FACTS = (
    *(_SCHEMAS + LIMITS + _HELD),
    *("n", "best_of", "service_tier", "web_search_options", "cache_control"),
)
"""The keys of a request body that `wanted` looks at, besides its messages, input and prompt."""


def wanted(body: Mapping[str, Any], *, texts: int, count: Callable[[str], int]) -> Wanted:
    """Reads a decoded request body; `texts` are the tokens of the texts of its messages.

    Numbers that make no sense are left to the upstream, which will refuse them.
    """
    known = _list(body.get("messages")) or _list(body.get("input"))
    schemas = sum(count(_plain(body[name])) for name in _SCHEMAS if body.get(name))
    calls = sum(count(_plain(call)) for call in _calls(known))
    limits = [_whole(body.get(n)) for n in LIMITS]
    given = [limit for limit in limits if limit is not None]
    prompts, tokens = _prompts(body.get("prompt"))
    if prompts and not given:
        given = [PER_COMPLETION]
    answers = max(1, *(_whole(body.get(name)) or 1 for name in ("n", "best_of")))
    tools = [t for t in _list(body.get("tools")) if isinstance(t, Mapping)]
    searches = any(str(tool.get("type")).startswith("web_search") for tool in tools)
    overhead = PER_MESSAGE * (len(known) + 1)
    return Wanted(
        input_tokens=texts + tokens + schemas + calls + overhead + _parts(known),
        max_output=max(given) if given else None,
        answers=answers * max(1, prompts),
        tier=tier(body.get("service_tier")),
        writes_cache=any(part.get("cache_control") is not None for part in _marked(body, known)),
        searches=searches or bool(body.get("web_search_options")),
        held=refers(body, known),
    )


def estimate(price: Price | None, wanted: Wanted, *, default_output: int | None = None) -> Estimate:
    """The most it can cost: nothing cached, every answer as long as it may be, the dearest of
    the prices that can apply. `default_output` is used where the request sets no limit and is
    the operator's word that answers are not longer; None: the model's own maximum. A prompt of
    which the provider holds a part is taken as long as the model can read."""
    if wanted.held and price is not None:
        wanted = wanted.cut_to(max(wanted.input_tokens, price.max_input or 0))
    most = price.max_output if price else None
    output = wanted.max_output if wanted.max_output is not None else default_output
    if output is None:
        output = most or DEFAULT_OUTPUT
    elif most is not None:
        output = min(output, most)
    output *= wanted.answers
    nano = _nano(price, wanted, output) if price else None
    return Estimate(nano_usd=nano, input_tokens=wanted.input_tokens, output_tokens=output)


def prompt_tokens_for(
    price: Price, wanted: Wanted, nano_usd: int, *, default_output: int | None = None
) -> int | None:
    """How long the prompt may be so that the request costs no more; None: not even an empty
    one fits. Prices that rise with the prompt's length make this a search, not a division."""

    def fits(tokens: int) -> bool:
        found = estimate(price, wanted.cut_to(tokens), default_output=default_output)
        return found.nano_usd is not None and found.nano_usd <= nano_usd

    if not fits(0):
        return None
    low, high = 0, wanted.input_tokens + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _nano(price: Price, wanted: Wanted, output: int) -> int:
    def at(kind: str) -> int:
        return price.rate(kind, prompt_tokens=wanted.input_tokens, tier=wanted.tier)

    per_input = max(at("input"), at("cached"))
    if wanted.writes_cache:
        per_input = max(per_input, at("cache_write"), at("cache_write_1h"))
    femto = wanted.input_tokens * per_input
    femto += output * max(at("output"), at("reasoning"))
    femto += price.per_request + (price.per_search if wanted.searches else 0)
    return -(-femto // PER_NANO)


def _calls(items: list[Any]) -> Iterator[Any]:
    """What is read with a prompt and is neither its texts nor a file: calls of tools, and what
    else only the provider understands."""
    for item in items:
        if not isinstance(item, Mapping):
            continue
        yield from (item[name] for name in ("tool_calls", "function_call") if item.get(name))
        for block in _list(item.get("content")):
            if isinstance(block, Mapping) and block.get("type") == "tool_use":
                yield block
        kind = str(item.get("type", "message"))
        if "role" not in item and kind != "message" and not kind.endswith("_call_output"):
            yield item


def refers(body: Mapping[str, Any], items: list[Any]) -> bool:
    """True if the Responses API continues a conversation, fills in a template or looks up items."""
    referred = any(isinstance(i, Mapping) and i.get("type") == "item_reference" for i in items)
    return referred or isinstance(body.get("prompt"), Mapping) or any(map(body.get, _HELD))


def _marked(body: Mapping[str, Any], messages: list[Any]) -> Iterator[Mapping[str, Any]]:
    """Where `cache_control` can stand."""
    yield body
    for item in (*messages, *_list(body.get("tools")), *_list(body.get("system"))):
        if isinstance(item, Mapping):
            yield item
            yield from (p for p in _list(item.get("content")) if isinstance(p, Mapping))


def _parts(messages: list[Any]) -> int:
    """Tokens of what is not text."""
    found = 0.0
    for message in messages:
        for part in _list(message.get("content")) if isinstance(message, Mapping) else ():
            kind = part.get("type") if isinstance(part, Mapping) else None
            if kind in ("image_url", "input_image", "image"):
                found += PER_PICTURE
            elif kind in ("input_audio", "file"):
                found += len(_plain(part.get(kind))) * PER_AUDIO_BYTE
            elif kind in ("input_file", "document"):
                found += len(_plain(part)) * PER_AUDIO_BYTE
            elif kind == "tool_result":
                found += _parts([part])
    return int(found)


def _prompts(prompt: Any) -> tuple[int, int]:
    """How many prompts the older API gets, and their tokens where they are given as tokens."""
    if not isinstance(prompt, list):
        return int(prompt is not None and not isinstance(prompt, Mapping)), 0
    tokens = [p for p in prompt if isinstance(p, (int, list)) or str(p).isdigit()]
    if any(isinstance(p, list) for p in tokens):
        return len(prompt), sum(len(p) for p in tokens if isinstance(p, list))
    return (1, len(tokens)) if tokens else (len(prompt), 0)


def _plain(value: Any) -> str:
    return json.dumps(value, default=lambda text: getattr(text, "value", ""))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value
