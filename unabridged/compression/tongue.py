"""Whether a tokenizer was made for the language of a text."""

from __future__ import annotations

from typing import Any

import numpy as np
import regex

from unabridged.compression.surrogates import legible

MANY_TONGUES = 60_000
"""A vocabulary of so many tokens was made for more than one script."""

WHOLE_WORDS = 2 / 3
"""Share of the words that are one token each. With an English vocabulary English prompts have
0.76 and more, Spanish and German 0.6 and less, other scripts next to none."""

SAMPLES, SAMPLE = 8, 500
"""How many stretches of a text are looked at for that, and their characters."""

_WORD = regex.compile(r"[\p{L}\p{M}]{2,}")


def reads(tokenizer: Any, text: str) -> bool:
    """True for a multilingual vocabulary, and if it holds most words of a sample of the text
    whole: in a foreign language it holds only pieces of them."""
    if tokenizer.get_vocab_size() >= MANY_TONGUES:
        return True
    step = max(1, len(text) // SAMPLES)
    pieces = [legible(text[i : i + SAMPLE]) for i in range(0, len(text), max(step, SAMPLE))]
    whole = words = 0
    for piece, encoded in zip(
        pieces, tokenizer.encode_batch(pieces, add_special_tokens=False), strict=True
    ):
        ends = np.unique([end for _, end in encoded.offsets])
        for word in _WORD.finditer(piece):
            words += 1
            start, end = word.span()
            inside = np.searchsorted(ends, end) - np.searchsorted(ends, start, side="right")
            whole += int(inside == 0)
    return whole >= WHOLE_WORDS * words
