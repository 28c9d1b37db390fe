"""What documents are called, and which sentences call them by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import regex
from numpy.typing import NDArray

from unabridged.compression.rank import terms

_PIECE = regex.compile(r"\p{N}+|[\p{L}\p{M}]+|\s+|.", regex.DOTALL)
_BRACKETS = regex.compile(r"\s*[(\[（【][^)\]）】]*[)\]）】]")
_FIRST_PART = regex.compile(r"[^,，、;:：|–—]+")

NEARLY = 0.8
"""What a link is worth that goes by the first part of a name: `Waterford` for `Waterford, New
York`."""


class Name(NamedTuple):
    """A document's name as search terms, each preceded and followed by a space; empty: none."""

    whole: str
    first: str
    """Up to the first comma or dash."""


def titles(heads: Sequence[str]) -> list[str]:
    """What differs between the heads of several documents: `Document [1](Title: ` and `) ` go.

    Numbers count as equal, for they number the documents. Without other heads to compare with,
    a head gives no title.
    """
    pieces = [_PIECE.findall(head) for head in heads]
    masked = [["0" if p[0].isnumeric() else p for p in each] for each in pieces]
    if len(set(map(tuple, masked))) < 2:
        return [""] * len(heads)
    front = _shared(masked)
    back = _shared([each[front:][::-1] for each in masked])
    return ["".join(each[front : len(each) - back]).strip() for each in pieces]


def _shared(rows: Sequence[Sequence[str]]) -> int:
    """Length of the longest common beginning."""
    shared = 0
    for column in zip(*rows, strict=False):
        if len(set(column)) > 1:
            break
        shared += 1
    return shared


def name(title: str) -> Name:
    """The name in a title, without what stands in brackets behind it."""
    plain = _BRACKETS.sub("", title).strip() or title
    first = _FIRST_PART.match(plain)
    return Name(_spaced(plain), _spaced(first[0] if first else plain))


def _spaced(text: str) -> str:
    found = terms(text)
    # One letter or digit names nothing: it would be found everywhere.
    return f" {' '.join(found)} " if len("".join(found)) > 1 else ""


def mentions(
    names: Sequence[Name], sentences: Sequence[str], documents: NDArray[np.intp]
) -> NDArray[np.float64]:
    """How surely each sentence names each document; shape (sentences, documents), 0 to 1.

    `sentences` are the sentences' terms, spaced as names are; `documents` says where each one
    stands: no document is linked to itself.
    """
    links = np.zeros((len(sentences), len(names)))
    for document, called in enumerate(names):
        if not called.first:
            continue
        for i, sentence in enumerate(sentences):
            # Whatever holds the whole name holds its first part.
            if called.first in sentence and documents[i] != document:
                exact = bool(called.whole) and called.whole in sentence
                links[i, document] = 1.0 if exact else NEARLY
    return links
