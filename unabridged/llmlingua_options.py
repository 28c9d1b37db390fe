"""The options of llmlingua 0.2.2, read once: names, defaults, and what each becomes here."""

from __future__ import annotations

import re
import warnings
from typing import Any, Literal

from pydantic import Field, ValidationError

from unabridged.policies.policy import Frozen, Perplexity

IDLE = frozenset(
    {
        "chunk_end_tokens",
        "context_level_rate",
        "context_level_target_token",
        "context_segs",
        "context_segs_compress",
        "context_segs_rate",
        "force_context_number",
        "high_priority_bonus",
        "iterative_size",
        "keep_split",
        "label_sep",
        "return_word_label",
        "strict_preserve_uncompressed",
        "target_context",
        "token_budget_ratio",
        "token_to_word",
        "word_sep",
    }
)
"""Accepted without effect: they belong to LLMLingua-2, did nothing in llmlingua either, or tune
what is done in another way here (one pass instead of segments)."""

UNBUILT = frozenset(
    {
        "add_instruction",
        "drop_consecutive",
        "keep_first_sentence",
        "keep_last_sentence",
        "keep_sentence_number",
        "use_keyvalue_level_filter",
        "use_sentence_level_filter",
    }
)
"""Not built yet: a warning if they are set."""


class Options(Frozen):
    """What one call wants."""

    rate: float = Field(default=0.5, gt=0, le=1)
    """Share of instruction, question and context together that is left."""
    target_token: float = -1
    """Tokens that the context may have, instead of `rate`; -1: not set."""
    rank_method: Literal["llmlingua", "longllmlingua", "bm25"] = "llmlingua"
    """Documents by perplexity, by what they say of the question, or by words."""
    condition_in_question: Literal[
        "none", "before", "after", "none_condition", "before_condition", "after_condition"
    ] = "none"
    """Accepted; documents are always ranked by the question behind them (`after`)."""
    reorder_context: Literal["original", "sort", "two_stage"] = "original"
    dynamic_context_compression_ratio: float = Field(default=0.0, ge=0, le=0.5)
    condition_compare: bool = False
    """Contrastive perplexity."""
    context_budget: str = "+100"
    """`+100` or `*2`: read, never evaluated."""
    reorder_keyvalue: Literal["original"] = "original"
    concate_question: bool = True
    """True if the question stands behind what is returned."""
    use_context_level_filter: bool = True
    use_token_level_filter: bool = True
    """False: only whole documents are dropped, but for the last that fits in part."""
    force_context_ids: tuple[int, ...] = ()
    """Contexts that stay whole."""
    force_tokens: tuple[str, ...] = ()
    """Strings that stay wherever they stand."""
    force_reserve_digit: bool = False
    """True if numbers stay."""

    @property
    def compressor(self) -> str:
        """The compressor that does it."""
        return "llmlingua" if self.rank_method == "llmlingua" else "longllmlingua"

    @property
    def perplexity(self) -> Perplexity:
        """Raises ValidationError, a ValueError, for a context budget that is none."""
        return Perplexity(
            rank="bm25" if self.rank_method == "bm25" else "longllmlingua",
            contrastive=self.condition_compare,
            dynamic_ratio=self.dynamic_context_compression_ratio
            if self.use_token_level_filter
            else 0.0,
            context_budget=self.context_budget if self.use_token_level_filter else "*1",
            reorder=self.reorder_context,
        )

    @property
    def force(self) -> tuple[str, ...]:
        """What stays, as regular expressions."""
        tokens = tuple(re.escape(token) for token in self.force_tokens if token)
        return (*tokens, r"\d+") if self.force_reserve_digit else tokens

    def target(self, rest: int) -> int | None:
        """Tokens that the whole prompt may have, `rest` of which are no context; None: by rate."""
        return None if self.target_token < 0 else max(int(self.target_token) + rest, 1)


def options_of(**given: Any) -> Options:
    """Options from what a caller wrote. Raises TypeError for a name that llmlingua does not know,
    ValueError for a value that an option cannot have."""
    wanted = {name: value for name, value in given.items() if value is not None}
    if "ratio" in wanted:
        wanted["rate"] = 1 - wanted.pop("ratio")
        _warn("`ratio` was the share to drop; it is now `rate`, the share to keep", True)
    for name in sorted(wanted.keys() & UNBUILT):
        if wanted[name]:
            _warn(f"option {name!r} is not built yet and has no effect", False)
    known = {n: v for n, v in wanted.items() if n not in IDLE | UNBUILT}
    unknown = sorted(known.keys() - Options.model_fields.keys())
    if unknown:
        raise TypeError(f"unknown option {unknown[0]!r}; llmlingua 0.2.2 has no such argument")
    try:
        found = Options.model_validate(known)
        found.perplexity  # noqa: B018 - a context budget that cannot be read is told here
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return found


def _warn(text: str, deprecated: bool) -> None:
    warnings.warn(text, DeprecationWarning if deprecated else UserWarning, stacklevel=4)
