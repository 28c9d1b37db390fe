"""How many tokens a text is for the upstream model."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import regex

from unabridged.compression.job import Count
from unabridged.compression.surrogates import legible

if TYPE_CHECKING:
    import tiktoken

DEFAULT_ENCODING = "o200k_base"
"""For models that no table knows: the newest encoding, and close to those of other makers."""

_URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_LOADING = threading.Lock()
_STRETCH = 4096
# A run of millions of spaces overflows the stack of tiktoken's pattern matcher, which then
# panics with an exception that is not even an Exception; runs of anything else take seconds.
_RUN = regex.compile(rf"\S{{{_STRETCH},}}+|\s{{{_STRETCH},}}+")


class UnknownTokenizer(ValueError):
    """No encoding or file has this name, or it is not on this machine."""


def counter(model: str, tokenizer: str | None = None) -> Count:
    """What counts the tokens of a text as `model` does; special strings count as text.

    `tokenizer` wins over the model's name: an encoding of tiktoken such as o200k_base, or
    `path:FILE` with a tokenizer.json. Nothing is ever downloaded.
    Raises UnknownTokenizer.
    """
    if tokenizer is not None and tokenizer.startswith("path:"):
        return _file_counter(tokenizer.removeprefix("path:"))
    return _encoding_counter(tokenizer or encoding_of(model))


def known_words() -> Callable[[str], bool]:
    """What tells whether a string is a word of some language: a single token of the encoding
    with most words. Loaded when first asked."""
    return lambda word: _encoding_counter(DEFAULT_ENCODING)(" " + word) == 1


def encoding_of(model: str) -> str:
    """The encoding of a model by tiktoken's own tables; a maker's prefix such as `openai/` does
    not matter. A model that is not in them, or whose encoding is not on this machine:
    DEFAULT_ENCODING."""
    from tiktoken.model import encoding_name_for_model

    for name in (model, model.rpartition("/")[2]):
        try:
            found = encoding_name_for_model(name)
        except KeyError:
            continue
        # The harmony encoding has the words of o200k_base and more special strings, which
        # are text here.
        found = found.replace("o200k_harmony", "o200k_base")
        if found in encodings():
            return found
    return DEFAULT_ENCODING


@lru_cache(maxsize=1)
def encodings() -> tuple[str, ...]:
    """The encodings that can be had without a network."""
    folder = _folder()
    return tuple(
        name
        for name in ("o200k_base", "cl100k_base", "p50k_base", "r50k_base")
        if folder is not None and (folder / _file(name)).is_file()
    )


@lru_cache(maxsize=8)
def _encoding_counter(name: str) -> Count:
    encoding = _encoding(name)

    def count(text: str) -> int:
        if len(text) < _STRETCH:
            return len(encoding.encode_ordinary(text))
        return sum(len(encoding.encode_ordinary(piece)) for piece in _pieces(text))

    return count


@lru_cache(maxsize=8)
def _file_counter(path: str) -> Count:
    from tokenizers import Tokenizer

    if not Path(path).is_file():
        raise UnknownTokenizer(f"tokenizer 'path:{path}': no such file")
    tokenizer = Tokenizer.from_file(path)
    tokenizer.encode_special_tokens = True  # special strings are text
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        return sum(
            len(tokenizer.encode(piece, add_special_tokens=False).ids)
            for piece in _pieces(legible(text))
        )

    return count


def _encoding(name: str) -> tiktoken.Encoding:
    """An encoding from the files inside the litellm wheel."""
    import tiktoken

    if name not in encodings():
        raise UnknownTokenizer(
            f"unknown tokenizer {name!r}; known: {', '.join(encodings())}, path:FILE"
        )
    # tiktoken knows only this way to be told where its files are.
    with _LOADING:
        before = os.environ.get("TIKTOKEN_CACHE_DIR")
        os.environ["TIKTOKEN_CACHE_DIR"] = str(_folder())
        try:
            return tiktoken.get_encoding(name)
        finally:
            if before is None:
                del os.environ["TIKTOKEN_CACHE_DIR"]
            else:
                os.environ["TIKTOKEN_CACHE_DIR"] = before


def _folder() -> Path | None:
    """Where the litellm wheel keeps tiktoken's files; found without importing litellm."""
    spec = importlib.util.find_spec("litellm")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "litellm_core_utils" / "tokenizers"
        if folder.is_dir():
            return folder
    return None


def _file(name: str) -> str:
    """tiktoken names its files by the hash of the address they were fetched from."""
    return hashlib.sha1(_URL.format(name).encode(), usedforsecurity=False).hexdigest()


def _pieces(text: str) -> list[str]:
    """The text in pieces that hold no run longer than _STRETCH; most texts are one piece."""
    pieces: list[str] = []
    last = 0
    for run in _RUN.finditer(text):
        for at in range(run.start() + _STRETCH, run.end(), _STRETCH):
            pieces.append(text[last:at])
            last = at
    pieces.append(text[last:])
    return pieces
