"""Whether a vocabulary knows a language."""

from __future__ import annotations

from tokenizers import Tokenizer, models, pre_tokenizers

from unabridged.compression.tongue import MANY_TONGUES, reads

ENGLISH = ["the", "tide", "came", "into", "harbour", "and", "master", "wrote", "it", "down"]


def tokenizer(words: list[str]) -> Tokenizer:
    letters = [f"##{c}" for c in "abcdefghijklmnopqrstuvwxyzäöü"]
    pieces = ["[UNK]", *words, *"abcdefghijklmnopqrstuvwxyzäöü", *letters]
    made = Tokenizer(
        models.WordPiece({p: i for i, p in enumerate(dict.fromkeys(pieces))}, unk_token="[UNK]")
    )
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def test_a_language_is_known_whose_words_are_in_the_vocabulary() -> None:
    english = tokenizer(ENGLISH)
    assert reads(english, "the tide came into the harbour")
    assert not reads(english, "die flut kam in den hafen")
    assert reads(english, "")


def test_a_large_vocabulary_knows_all() -> None:
    large = tokenizer([f"w{i}" for i in range(MANY_TONGUES)])
    assert reads(large, "die flut kam in den hafen")
