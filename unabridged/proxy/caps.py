"""What a caller lets one request cost or hold: two headers, met by compressing or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from unabridged.policies.asked import BadAsk
from unabridged.policies.budget import NANO
from unabridged.policies.choose import Choice
from unabridged.proxy.estimate import Wanted, prompt_tokens_for
from unabridged.proxy.price import Price
from unabridged.proxy.refusal import OverCap, Unpriced, dollars

MAX_COST = "x-unabridged-max-cost"
MAX_TOKENS = "x-unabridged-max-prompt-tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Of one request. None: no cap."""

    nano_usd: int | None = None
    prompt_tokens: int | None = None

    @classmethod
    def parse(cls, headers: Mapping[str, str]) -> Caps:
        """Reads the headers (lower-case names). Raises BadAsk."""
        return cls(
            nano_usd=_dollars(headers.get(MAX_COST)), prompt_tokens=_tokens(headers.get(MAX_TOKENS))
        )

    def __bool__(self) -> bool:
        return self.nano_usd is not None or self.prompt_tokens is not None

    def room(
        self, wanted: Wanted, price: Price | None, model: str, default_output: int | None
    ) -> int | None:
        """Tokens that the prompt may have at most; None: as many as it has.

        Raises OverCap if the answer alone costs too much, and Unpriced.
        """
        room = self.prompt_tokens
        if self.nano_usd is not None:
            if price is None:
                raise Unpriced(model, f"header {MAX_COST}")
            fits = prompt_tokens_for(price, wanted, self.nano_usd, default_output=default_output)
            if fits is None:
                raise OverCap(MAX_COST, dollars(self.nano_usd), "more for the answer alone")
            room = fits if room is None else min(room, fits)
        return None if room is None or room >= wanted.input_tokens else room

    def refuse(self, wanted: Wanted, room: int) -> OverCap:
        """What to raise when the compressed prompt is still longer than `room`."""
        needs = f"{wanted.input_tokens} prompt tokens"
        if self.prompt_tokens is not None and room == self.prompt_tokens:
            return OverCap(MAX_TOKENS, f"{room} prompt tokens", needs)
        return OverCap(MAX_COST, f"{dollars(self.nano_usd or 0)}, {room} prompt tokens", needs)


def squeezed(choice: Choice, tokens: int) -> Choice:
    """The choice with a prompt of so many tokens, whatever its policy saves otherwise."""
    compressor = choice.policy.compressor
    update = {
        "compressor": "auto" if compressor in ("off", "lossless") else compressor,
        "rate": None,
        "ranges": (),
        "target_tokens": max(1, tokens),
        "min_tokens": 0,
        "min_saving": 0.0,
    }
    return replace(
        choice,
        policy=choice.policy.model_copy(update=update),
        strict=True,
        why=f"{choice.why}; the caller's cap leaves {tokens} tokens",
    )


def _dollars(value: str | None) -> int | None:
    if value is None:
        return None
    try:
        amount = Decimal(value.strip().removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount <= 10**6:
        raise BadAsk(f"header {MAX_COST} must be dollars such as 0.05, not {value[:40]!r}")
    return int(amount * NANO)


def _tokens(value: str | None) -> int | None:
    if value is None:
        return None
    digits = value.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10 and int(digits)):
        raise BadAsk(f"header {MAX_TOKENS} must be a whole number above 0, not {value[:40]!r}")
    return int(digits)
