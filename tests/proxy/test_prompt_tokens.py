"""The tokens of a prompt as servers tell them, laid on the prompt's own characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.proxy.prompt_tokens import NoPromptTokens, Token, placed, tokens_of


def spans(texts: list[str], prompt: str, scored: int = 0) -> list[tuple[int, int]]:
    tokens = [Token(text=text, surprise=1.0) for text in texts]
    return [(each.start, each.end) for each in placed(tokens, prompt, scored)]


def test_vllm_tells_the_prompts_own_token_first() -> None:
    told = [
        None,
        {"785": {"logprob": -0.5, "rank": 3, "decoded_token": "The"}},
        {
            "9": {"logprob": -8.0, "rank": 90, "decoded_token": " tide"},
            "3": {"logprob": -0.1, "rank": 1, "decoded_token": " end"},
        },
    ]
    found = tokens_of({"text": "x", "prompt_logprobs": told}, "\nThe tide")
    assert found == [Token(text="The", surprise=0.5), Token(text=" tide", surprise=8.0)]


def test_openai_and_llama_cpp_python_tell_tokens_side_by_side_and_the_generated_one_goes() -> None:
    told = {
        "tokens": ["The", " tide", " is"],
        "token_logprobs": [None, -2.0, -0.1],
        "text_offset": [0, 3, 8],
        "top_logprobs": None,
    }
    found = tokens_of({"text": "The tide is", "logprobs": told}, "The tide")
    assert found == [Token(text="The", surprise=None), Token(text=" tide", surprise=2.0)]


def test_llama_cpp_tells_bytes() -> None:
    told = {"content": [{"token": "?", "bytes": [0xED, 0x95, 0x9C], "logprob": -1.5}]}
    assert tokens_of({"logprobs": told}, "한") == [Token(text="한", surprise=1.5)]


@pytest.mark.parametrize(
    "choice",
    [
        {"text": " is"},
        {"logprobs": None, "prompt_logprobs": None},
        {"logprobs": {"tokens": [" is"], "token_logprobs": [-0.1], "text_offset": [0]}},
        {"prompt_logprobs": [None]},
    ],
)
def test_a_server_that_tells_only_what_it_generated_is_found_out(choice: dict) -> None:
    with pytest.raises(NoPromptTokens, match="prompt_logprobs"):
        tokens_of(choice, "The tide came in at noon.")


def test_a_token_stands_for_the_characters_of_its_text() -> None:
    assert spans(["The", " tide", "."], "The tide.") == [(0, 3), (3, 8), (8, 9)]


def test_pieces_of_a_character_stand_for_the_whole_of_it() -> None:
    prompt = "a 👩 b"
    assert spans(["a", " \ufffd", "\ufffd", "\ufffd", " b"], prompt) == [
        (0, 1), (1, 3), (2, 3), (2, 3), (3, 5),
    ]  # fmt: skip
    assert spans(["a", "<0xF0>", "<0x9F>", " b"], prompt)[1:3] == [(1, 3), (2, 3)]


def test_pieces_of_one_byte_each_find_their_characters() -> None:
    assert spans(["\ufffd"] * 6, "한글") == [(0, 1)] * 3 + [(1, 2)] * 3


def test_marks_for_spaces_and_spaces_left_out_are_understood() -> None:
    assert spans(["\u2581The", "\u2581tide"], " The tide") == [(0, 4), (4, 9)]
    assert spans(["The", "tide"], "The tide") == [(0, 3), (3, 8)]


def test_a_start_token_and_a_token_that_is_not_told_move_nothing() -> None:
    assert spans(["<s>", "The", " tide"], "The tide")[-2:] == [(0, 3), (3, 8)]
    assert spans(["The", " tide"], "\nThe tide", 1) == [(0, 3), (3, 8)]


def test_what_begins_in_front_of_the_text_and_ends_in_it_counts_to_it() -> None:
    assert spans(["ab", "cd", "ef"], "abcdef", 3) == [(0, 1), (1, 3)]


def test_what_was_generated_behind_the_prompt_is_left_out() -> None:
    assert spans(["ab", " and", " more"], "ab") == [(0, 2)]


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=12), st.integers(0, 12))
def test_texts_cut_anywhere_are_laid_back_without_gaps(pieces: list[str], scored: int) -> None:
    prompt = "".join(pieces)
    found = spans(pieces, prompt, min(scored, len(prompt)))
    covered = {i for start, end in found for i in range(start, end)}
    assert covered == set(range(max(len(prompt) - scored, 0)))
    assert found == sorted(found)
