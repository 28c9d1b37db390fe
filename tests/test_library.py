"""The library face: `import unabridged`, then compress and recover."""

from __future__ import annotations

from importlib import metadata

import pytest

import unabridged


def test_the_version_is_that_of_the_package() -> None:
    assert unabridged.version == unabridged.__version__ == metadata.version("unabridged")


def test_a_text_is_shortened_and_an_answer_restored() -> None:
    text = (
        "Document [1] The bridge was designed by Sir John Fowler of Sheffield. It is red.\n"
        "Document [2] A storm broke the other bridge. Nobody had looked at its piers.\n\n"
        "Question: Who designed the bridge?"
    )
    short = unabridged.compress(text, rate=0.6, compressor="extractive")
    assert len(short.text) < len(text)
    assert short.text.endswith("Question: Who designed the bridge?")
    original = "It was designed by Sir John Fowler of Sheffield."
    recovered = unabridged.recover(original, "designed by Sir Fowler.", "By Sir Fowler.")
    assert recovered.text == "By Sir John Fowler of Sheffield."
    assert [edit.was for edit in recovered.edits] == ["Sir Fowler"]


def test_a_wrong_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="ratio"):
        unabridged.compress("x", ratio=2)
