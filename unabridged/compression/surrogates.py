"""Half a surrogate pair, which a JSON string may hold and a tokenizer does not take."""

from __future__ import annotations

import re

_HALF = re.compile("[\ud800-\udfff]")


def legible(text: str) -> str:
    """The text with a replacement character in the place of each half: a model reads that, and
    the characters keep their offsets."""
    return text if text.isascii() else _HALF.sub("\ufffd", text)
