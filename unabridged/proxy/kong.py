"""What Kong's prompt compressor is asked: which stretches of a text, and how short."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from unabridged.compression.marks import llmlingua
from unabridged.policies.asked import BadAsk
from unabridged.policies.policy import Frozen, Share

PATH, STATUS, METHOD = "/llm/v1/compressPrompt", "/llm/v1/status", "llm.v1.compressPrompt"


class KongWish(Frozen, extra="ignore"):
    """The names that Kong's plugin uses in its settings, and the plain ones."""

    prompt: str | None = None
    text: str | None = None
    compressor_type: str = "rate"
    value: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    rate: Share | None = None
    target_token: int | None = Field(default=None, ge=1)

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> KongWish:
        """Raises BadAsk; no text of the prompt is part of the error."""
        try:
            wish = cls.model_validate(said)
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))
            raise BadAsk(f"{place}: {error.errors()[0]['msg']}") from None
        if wish.prompt is None and wish.text is None:
            raise BadAsk("the text to compress is missing: send it as prompt")
        if wish.compressor_type not in ("rate", "target_token"):
            raise BadAsk("compressor_type must be rate or target_token")
        if wish.compressor_type == "rate" and wish.value is not None and wish.value > 1:
            raise BadAsk(f"value must be at most 1 for a rate, not {wish.value:g}")
        return wish

    @property
    def tokens(self) -> int | None:
        """How many may be left."""
        if self.target_token is None and self.compressor_type == "target_token" and self.value:
            return max(1, int(self.value))
        return self.target_token

    @property
    def share(self) -> float | None:
        """Which share of the tokens may be left, unless their number is given."""
        if self.tokens is not None:
            return None
        return self.rate if self.rate is not None else self.value

    def parts(self) -> list[tuple[str, bool]]:
        """Stretches of the text and whether they are to be shortened: what stands in
        `<LLMLINGUA>` tags, or all of it if there are none. The tags themselves are left out."""
        text = self.prompt if self.prompt is not None else self.text or ""
        found = llmlingua(text, 0, len(text))
        if not found:
            return [(text, True)]
        parts: list[tuple[str, bool]] = []
        at = 0
        for tag in found:
            parts += [(text[at : tag.start], False), (text[tag.inner : tag.close], tag.compress)]
            at = tag.end
        return [part for part in (*parts, (text[at:], False)) if part[0]]
