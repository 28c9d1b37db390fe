"""What a model's tokens cost: the map of prices that litellm ships, and the operator's own.

The map is read as data; litellm itself is not imported.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from functools import lru_cache
from importlib.metadata import distribution
from typing import Any

from unabridged.policies.budget import Price as Override

MAP = "litellm/model_prices_and_context_window_backup.json"
FEWEST_MODELS = 1000
"""A map with fewer models is taken to be broken."""
PER_DOLLAR = 10**15
"""Prices are whole femto-dollars a token: a millionth of a nano-dollar, so that none is lost."""
DEAREST_PER_TOKEN = Decimal("0.01")
"""A price above this is taken for a mistake of the map (a price per thousand, say)."""

FIELDS: dict[str, str] = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
    "input_audio": "input_cost_per_audio_token",
    "output_audio": "output_cost_per_audio_token",
}
FALLS_BACK = {
    "cached": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "reasoning": "output",
    "input_audio": "input",
    "output_audio": "output",
}
"""Which price a kind without one of its own has."""
TIERS = ("priority", "flex", "batches", "balanced", "ultrafast")
SERVICE_TIERS = {"priority": "priority", "flex": "flex", "batch": "batches", "scale": "priority"}
"""What `service_tier` in a request or an answer is called in the map."""
_FIELD = re.compile(
    r"(?P<base>.+?)(?:_above_(?P<above>\d+)k_tokens)?(?:_(?P<tier>" + "|".join(TIERS) + r"))?"
)
_KINDS = {name: kind for kind, name in FIELDS.items()}
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$|-\d{8}$")


class BadPriceMap(Exception):
    """The map of prices cannot be used; says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What the tokens of one model cost."""

    model: str
    """As the map or the override names it."""
    rates: Mapping[tuple[str, str, int], int]
    """Femto-dollars a token by kind, tier (empty: standard) and the prompt length above which it
    holds (0: any)."""
    max_input: int | None = None
    """Longest prompt, in tokens."""
    max_output: int | None = None
    """Longest answer, in tokens."""
    cache_minimum: int = 1024
    """Shortest prefix that the provider caches, in tokens."""
    per_request: int = 0
    """Femto-dollars for each request, besides its tokens."""
    per_search: int = 0
    """Femto-dollars for each search of the web, at the dearest size."""
    version: str = ""
    """Of the map it comes from."""

    def rate(self, kind: str, *, prompt_tokens: int = 0, tier: str = "") -> int:
        """Femto-dollars for a token of a kind, in a request with so long a prompt. A tier that
        the map does not price has the standard price, or, for priority, none lower than it."""
        while True:
            found = self._rate(kind, prompt_tokens, tier)
            if found is not None:
                return found
            if kind not in FALLS_BACK:
                return 0
            kind = FALLS_BACK[kind]

    def dearest(self, kind: str, *, tier: str = "") -> int:
        """The highest price of a kind, whatever the prompt's length."""
        steps = {0, *(above + 1 for _, _, above in self.rates)}
        return max(self.rate(kind, prompt_tokens=step, tier=tier) for step in steps)

    def _rate(self, kind: str, prompt_tokens: int, tier: str) -> int | None:
        best: tuple[int, int] | None = None
        for wanted in (tier, "") if tier else ("",):
            for (of, in_tier, above), rate in self.rates.items():
                reached = prompt_tokens > above or above == 0
                if (
                    of == kind
                    and in_tier == wanted
                    and reached
                    and (best is None or above > best[0])
                ):
                    best = (above, rate)
            if best is not None:
                return best[1]
        return None


MOST_REMEMBERED = 1000
"""Models whose price is kept at hand, since reading an entry takes longer than a request may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """All that is known, and its version."""

    version: str
    """First twelve digits of the SHA-256 of the map and the overrides."""
    _models: Mapping[str, Any]
    _overrides: Mapping[str, Price] = field(default_factory=dict)
    _found: dict[tuple[str, str], Price | None] = field(default_factory=dict, compare=False)

    def get(self, model: str, upstream_url: str = "") -> Price | None:
        """The price of a model; None: not known, which is not the same as free. Tries the name
        under the upstream's provider, then as it is, then both without a date at the end."""
        asked = (model, upstream_url)
        if asked not in self._found:
            if len(self._found) >= MOST_REMEMBERED:
                self._found.clear()  # callers can ask for any number of models
            self._found[asked] = self._look_up(model, upstream_url)
        return self._found[asked]

    def _look_up(self, model: str, upstream_url: str) -> Price | None:
        names = [
            name
            for base in dict.fromkeys((model, _DATED.sub("", model)))
            for name in (*_qualified(base, upstream_url), base)
        ]
        for name in names:
            if name in self._overrides:
                return self._overrides[name]
        for name in names:
            found = self._models.get(name)
            if found is not None:
                return _price(name, found, self.version)
        return None

    def worst(self) -> Price:
        """The dearest chat model of the map, for budgets that take unknown ones at the worst."""
        priced = (
            price
            for name, raw in self._models.items()
            if raw.get("mode") == "chat" and (price := _price(name, raw, self.version))
        )
        return max(priced, key=lambda price: price.rate("input") + 4 * price.rate("output"))

    def __len__(self) -> int:
        return len(self._models)


def load_prices(
    overrides: Mapping[str, Override] | None = None, *, text: bytes | None = None
) -> Prices:
    """The prices of the packaged map and the operator's own, which go first.

    Raises BadPriceMap rather than going on without prices. Takes about 30 ms.
    """
    raw = packaged() if text is None else text
    models = validated(raw)
    own = {name: price.model_dump(mode="json") for name, price in (overrides or {}).items()}
    digest = hashlib.sha256(raw + json.dumps(own, sort_keys=True).encode()).hexdigest()[:12]
    return Prices(
        version=digest,
        _models=models,
        _overrides={
            name: _overridden(name, price, models.get(name), digest)
            for name, price in (overrides or {}).items()
        },
    )


def packaged() -> bytes:
    """The map in the installed litellm. Raises BadPriceMap."""
    try:
        return bytes(distribution("litellm").locate_file(MAP).read_bytes())  # type: ignore[attr-defined]
    except OSError as error:
        raise BadPriceMap(f"the price map of litellm cannot be read: {error.strerror}") from error


def validated(raw: bytes) -> dict[str, dict[str, Any]]:
    """The models of a map. A price that is no number, negative or absurd makes its model
    unpriced; a map that is not one at all raises BadPriceMap."""
    try:
        data = json.loads(raw, parse_float=Decimal)
    except ValueError as error:
        raise BadPriceMap(f"the price map is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise BadPriceMap("the price map is not a JSON object")
    models = {
        name: entry
        for name, entry in data.items()
        if name != "sample_spec" and isinstance(entry, dict)
    }
    if len(models) < FEWEST_MODELS:
        raise BadPriceMap(
            f"the price map has {len(models)} models; at least {FEWEST_MODELS} are due"
        )
    return models


def _price(name: str, raw: Mapping[str, Any], version: str) -> Price | None:
    """None if the entry does not say what a prompt's and an answer's tokens cost."""
    rates: dict[tuple[str, str, int], int] = {}
    for key, value in raw.items():
        match = _FIELD.fullmatch(key) if "cost" in key else None
        kind = _KINDS.get(match["base"]) if match else None
        if match is None or kind is None:
            continue
        rate = _femto(value)
        if rate is None:
            return None
        rates[kind, match["tier"] or "", int(match["above"] or 0) * 1000] = rate
    rates |= _ranges(raw.get("tiered_pricing"))
    if not all(any(k == needed for k, _, _ in rates) for needed in ("input", "output")):
        return None
    return Price(
        model=name,
        rates=rates,
        max_input=_count(raw.get("max_input_tokens")),
        max_output=_count(raw.get("max_output_tokens")) or _count(raw.get("max_tokens")),
        cache_minimum=_count(raw.get("prompt_cache_min_tokens")) or 1024,
        per_request=_femto(raw.get("input_cost_per_request"), Decimal(1)) or 0,
        per_search=_per_search(raw.get("search_context_cost_per_query")),
        version=version,
    )


def _ranges(tiers: Any) -> dict[tuple[str, str, int], int]:
    """Prices by prompt length, in the map's other way of writing them."""
    rates: dict[tuple[str, str, int], int] = {}
    for tier in tiers if isinstance(tiers, list) else ():
        above = int((tier.get("range") or [0])[0])
        for key, value in tier.items():
            kind, rate = _KINDS.get(key), _femto(value)
            if kind is not None and rate is not None:
                rates[kind, "", above] = rate
    return rates


def _per_search(sizes: Any) -> int:
    if not isinstance(sizes, dict):
        return 0
    return max((_femto(value, Decimal(1)) or 0 for value in sizes.values()), default=0)


def _femto(value: Any, most: Decimal = DEAREST_PER_TOKEN) -> int | None:
    """Rounded up: rather a millionth of a nano-dollar too much than too little."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        dollars = Decimal(value)
    except InvalidOperation:
        return None
    if not dollars.is_finite() or not 0 <= dollars <= most:
        return None
    return int((dollars * PER_DOLLAR).to_integral_value(ROUND_CEILING))


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return int(value) if value > 0 else None


def _overridden(name: str, own: Override, known: Mapping[str, Any] | None, version: str) -> Price:
    """An override replaces all prices of a model; what it does not say about sizes is the map's."""
    per_million = {
        "input": own.input,
        "output": own.output,
        "cached": own.cached,
        "cache_write": own.cache_write,
        "reasoning": own.reasoning,
    }
    base = _price(name, known, version) if known else None
    return Price(
        model=name,
        rates={
            (kind, "", 0): int(value * (PER_DOLLAR // 10**6))
            for kind, value in per_million.items()
            if value is not None
        },
        max_input=own.max_input or (base.max_input if base else None),
        max_output=own.max_output or (base.max_output if base else None),
        cache_minimum=base.cache_minimum if base else 1024,
        version=version,
    )


PROVIDERS: dict[str, Callable[[str], str]] = {
    "api.anthropic.com": "anthropic/{}".format,
    "generativelanguage.googleapis.com": "gemini/{}".format,
    "api.mistral.ai": "mistral/{}".format,
    "api.groq.com": "groq/{}".format,
    "api.deepseek.com": "deepseek/{}".format,
    "api.together.xyz": "together_ai/{}".format,
    "api.fireworks.ai": "fireworks_ai/{}".format,
    "openrouter.ai": "openrouter/{}".format,
    "api.x.ai": "xai/{}".format,
    "api.perplexity.ai": "perplexity/{}".format,
    "api.cerebras.ai": "cerebras/{}".format,
    "api.cohere.ai": "cohere/{}".format,
    "dashscope": "dashscope/{}".format,
    ".openai.azure.com": "azure/{}".format,
}
"""How the map names the models of an upstream, by a part of its URL."""


@lru_cache(maxsize=1024)
def _qualified(model: str, upstream_url: str) -> tuple[str, ...]:
    return tuple(name(model) for part, name in PROVIDERS.items() if part in upstream_url)
