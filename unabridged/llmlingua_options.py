"""The options of llmlingua 0.2.2, read once: names, defaults, and what each becomes here."""

from __future__ import annotations

import re
import warnings
from typing import Any, Literal

from pydantic import Field, ValidationError

from unabridged.llmlingua_rankers import Method, method
from unabridged.policies.policy import Frozen, Perplexity

IDLE = frozenset(
    {
        "chunk_end_tokens",
        "context_level_rate",
        "context_level_target_token",
        "context_segs",
        "context_segs_compress",
        "context_segs_rate",
        "drop_consecutive",
        "force_context_number",
        "high_priority_bonus",
        "iterative_size",
        "keep_split",
        "label_sep",
        "return_word_label",
        "strict_preserve_uncompressed",
        "target_context",
        "token_to_word",
        "use_keyvalue_level_filter",
        "word_sep",
    }
)
"""Accepted without effect: they belong to LLMLingua-2, did nothing in llmlingua either, or tune
what is done in another way here (one pass instead of segments, a rule for each pair of JSON)."""


EVERYTHING = "*1000"
"""A context budget that lets in every document."""


class Options(Frozen):
    """What one call wants."""

    rate: float = Field(default=0.5, gt=0, le=1)
    """Share of instruction, question and context together that is left."""
    target_token: float = -1
    """Tokens that the context may have, instead of `rate`; -1: not set."""
    rank_method: str = "llmlingua"
    """How documents are ranked: see llmlingua_rankers.py."""
    condition_in_question: Literal[
        "none", "before", "after", "none_condition", "before_condition", "after_condition"
    ] = "none"
    """Where the question stands when documents are ranked: behind them unless it is `before`."""
    add_instruction: bool = False
    """True if the instruction counts as a part of what is asked."""
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
    """False: every document offers its words, none is let in before others."""
    use_sentence_level_filter: bool = False
    """True if words come from the best sentences only."""
    token_budget_ratio: float = Field(default=1.4, ge=1)
    """Tokens of sentences that are let in: a multiple of the target."""
    keep_first_sentence: int = Field(default=0, ge=0)
    """So many first sentences of each document are let in, whatever they say."""
    keep_last_sentence: int = Field(default=0, ge=0)
    """So many last ones, too."""
    keep_sentence_number: int = Field(default=0, ge=0)
    """So many of the best sentences of each document, too."""
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
    def ranker(self) -> Method:
        """Raises ValueError for a method that llmlingua does not know."""
        return method(self.rank_method)

    @property
    def perplexity(self) -> Perplexity:
        """Raises ValueError for a context budget or a rank method that is none."""
        budget, delta = self.context_budget, self.dynamic_context_compression_ratio
        if not self.use_context_level_filter:
            budget = EVERYTHING
        if not self.use_token_level_filter:
            budget, delta = "*1", 0.0
        return Perplexity(
            rank=self.ranker.rank,
            condition="before" if self.condition_in_question.startswith("before") else "after",
            contrastive=self.condition_compare,
            dynamic_ratio=delta,
            context_budget=budget,
            sentence_filter=self.use_sentence_level_filter,
            sentence_budget=self.token_budget_ratio,
            keep_first_sentences=self.keep_first_sentence,
            keep_last_sentences=self.keep_last_sentence,
            keep_sentences=self.keep_sentence_number,
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
        text = "`ratio` was the share to drop; it is now `rate`, the share to keep"
        warnings.warn(text, DeprecationWarning, stacklevel=4)
    known = {name: value for name, value in wanted.items() if name not in IDLE}
    unknown = sorted(known.keys() - Options.model_fields.keys())
    if unknown:
        raise TypeError(f"unknown option {unknown[0]!r}; llmlingua 0.2.2 has no such argument")
    try:
        found = Options.model_validate(known)
        found.perplexity  # noqa: B018 - what a policy cannot be made of is told here
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return found
