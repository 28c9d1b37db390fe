"""A program's own prompts are remembered by what was kept of them, and nobody else's."""

from __future__ import annotations

from unabridged.compressed_prompts import MOST, CompressedPrompts
from unabridged.compression.kept import Spans
from unabridged.compression.prompt import Compressed, Prompt, Segment, Where
from unabridged.recovery.restore import restore

TEXT = "It was designed by Sir John Fowler of Sheffield."
SHORT = "designed by Sir Fowler."


def spans(*pieces: str) -> Spans:
    at = [(TEXT.index(piece), TEXT.index(piece) + len(piece)) for piece in pieces]
    return tuple(at)


def compressed(kept: Spans) -> Compressed:
    segment = Segment(kind="document", text=TEXT, where=Where(path=(), start=0))
    return Compressed(
        prompt=Prompt(body="", segments=(segment,)),
        kept=(kept,),
        why=("",),
        tokens_before=(10,),
        tokens_after=(5,),
    )


KEPT = compressed(spans("designed by Sir ", "Fowler", "."))


def test_an_answer_is_restored_by_what_was_kept_of_the_prompt() -> None:
    prompts = CompressedPrompts()
    prompts.add(SHORT, KEPT)
    assert (
        restore("By Sir Fowler.", prompts.index(TEXT, SHORT)).text
        == "By Sir John Fowler of Sheffield."
    )


def test_an_index_that_is_at_hand_is_not_built_again() -> None:
    prompts = CompressedPrompts()
    prompts.add(SHORT, KEPT)
    index = prompts.index(f"Around it\n\n{TEXT}", SHORT)
    assert prompts.index(TEXT, SHORT) is index


def test_a_prompt_of_others_is_aligned_once() -> None:
    prompts = CompressedPrompts()
    index = prompts.index(TEXT, SHORT)
    assert "John" in restore("By Sir Fowler.", index).text
    assert prompts.index(TEXT, SHORT) is index


def test_the_same_short_text_of_another_original_has_its_own_index() -> None:
    prompts = CompressedPrompts()
    prompts.add(SHORT, KEPT)
    other = TEXT.replace("John", "James")
    restored = restore("By Sir Fowler.", prompts.index(other, SHORT)).text
    assert restored == "By Sir James Fowler of Sheffield."


def test_only_the_latest_prompts_are_remembered() -> None:
    prompts = CompressedPrompts()
    first = prompts.index(TEXT, SHORT)
    for n in range(MOST - 1):
        prompts.index(f"Text {n} of many.", f"Text {n}.")
    assert prompts.index(TEXT, SHORT) is first
    for n in range(MOST):
        prompts.index(f"Text {n} of many.", f"Text {n}.")
    assert prompts.index(TEXT, SHORT) is not first
