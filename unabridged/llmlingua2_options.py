"""The options of llmlingua 0.2.2 that belong to LLMLingua-2: names, defaults, what each becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from unabridged.policies.policy import Frozen, Words

NAMES = frozenset(
    {
        "chunk_end_tokens",
        "context_level_rate",
        "context_level_target_token",
        "drop_consecutive",
        "label_sep",
        "return_word_label",
        "target_context",
        "token_to_word",
        "word_sep",
    }
)


class WordOptions(Frozen):
    """What one call wants of the words."""

    token_to_word: Literal["mean", "first"] = "mean"  # noqa: S105
    chunk_end_tokens: tuple[str, ...] = (".", "\n")
    drop_consecutive: bool = False
    target_context: int = -1
    """Contexts that may keep anything; -1: not set."""
    context_level_rate: float = Field(default=1.0, gt=0, le=1)
    """Share of the contexts that may keep anything."""
    context_level_target_token: float = -1
    """Tokens of the contexts that may keep anything; -1: not set."""
    return_word_label: bool = False
    """True if `fn_labeled_original_prompt` is wanted: each word with 1 (kept) or 0."""
    word_sep: str = "\t\t|\t\t"
    label_sep: str = " "

    def words(self, *, asked: bool, digits: bool) -> Words:
        """`asked`: documents are ranked by the question's words."""
        tokens = int(self.context_level_target_token)
        return Words(
            by_question="bm25" if asked else None,
            pool=self.token_to_word,
            chunk_ends=self.chunk_end_tokens,
            contexts=self.target_context if self.target_context > 0 else None,
            context_rate=self.context_level_rate,
            context_tokens=tokens if tokens > 0 else None,
            force_digits=digits,
            drop_consecutive=self.drop_consecutive,
        )


def parted(given: Mapping[str, Any]) -> tuple[WordOptions, dict[str, Any]]:
    """The options of LLMLingua-2, and the rest. Raises ValidationError, a ValueError."""
    own = {name: value for name, value in given.items() if name in NAMES and value is not None}
    rest = {name: value for name, value in given.items() if name not in NAMES}
    return WordOptions(**own), rest
