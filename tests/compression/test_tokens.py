"""Tokens are those of the upstream model, offline, whatever the text says."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from unabridged.compression.tokens import (
    UnknownTokenizer,
    counter,
    encoding_of,
    encodings,
    known_words,
)


def test_a_model_is_counted_with_its_own_encoding():
    assert encoding_of("gpt-4o-mini") == "o200k_base"
    assert encoding_of("openai/gpt-4o") == "o200k_base"
    assert encoding_of("gpt-4") == "cl100k_base"
    assert encoding_of("gpt-3.5-turbo-0125") == "cl100k_base"
    assert encoding_of("text-embedding-3-small") == "cl100k_base"
    assert encoding_of("gpt-oss-120b") == "o200k_base"


def test_an_unknown_model_is_counted_with_the_newest_encoding():
    assert encoding_of("") == encoding_of("llama-3.1-8b") == "o200k_base"


def test_special_strings_are_text():
    count = counter("gpt-4o")
    assert count("<|endoftext|>") > 1
    assert count("hello world") == 2
    assert count("") == 0


@given(st.text())
def test_any_text_can_be_counted(text: str):
    assert (counter("gpt-4o")(text) > 0) == bool(text)


@pytest.mark.parametrize("unit", [" ", "a", "漢", "\n", "ab1-", "^"])
def test_a_million_characters_without_a_break_are_counted_in_time(unit: str):
    start = time.perf_counter()
    assert counter("gpt-4o")(unit * (1_000_000 // len(unit))) > 1000
    assert time.perf_counter() - start < 5


def test_a_tokenizer_file_counts_without_its_special_tokens(tmp_path: Path):
    tokenizer = Tokenizer(models.WordLevel({"<s>": 0, "a": 1, "[UNK]": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<s>"])
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    count = counter("any", f"path:{path}")
    assert count("a a") == 2
    assert count("<s>") == 3  # <, s and >


def test_what_is_not_there_is_named():
    with pytest.raises(UnknownTokenizer, match="unknown tokenizer 'o300k'; known: o200k_base"):
        counter("gpt-4o", "o300k")
    with pytest.raises(UnknownTokenizer, match="no such file"):
        counter("gpt-4o", "path:nowhere.json")


def test_the_environment_is_left_as_it_was():
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    counter("gpt-4")("x")
    assert os.environ.get("TIKTOKEN_CACHE_DIR") == before
    assert {"o200k_base", "cl100k_base"} <= set(encodings())


def test_counting_imports_neither_litellm_nor_torch_nor_opens_a_socket():
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from unabridged.compression.tokens import counter\n"
        "assert counter('gpt-4o')('hello world') == 2\n"
        "assert not {'litellm', 'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_word_of_some_language_is_known_and_a_part_of_one_is_not() -> None:
    known = known_words()
    assert known("treaty")
    assert known("Welt")
    assert not known("Röntg")


@given(st.text(alphabet=st.characters(codec=None)))
def test_half_a_surrogate_pair_can_be_counted_with_any_tokenizer(text: str):
    assert (counter("gpt-4o")(text) > 0) == bool(text)
    assert counter("any", f"path:{_letters()}")(text) >= 0


@cache
def _letters() -> Path:
    """A tokenizer file of one word."""
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    path = Path(tempfile.mkdtemp()) / "tokenizer.json"
    tokenizer.save(str(path))
    return path
