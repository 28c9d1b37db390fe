"""What a completions server says of its prompt's tokens, and which characters they stand for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNKNOWN = "\ufffd"
"""What servers write for bytes that are no character by themselves."""
FAR = 16
"""Characters within which a token that did not fit is looked for again."""


class NoPromptTokens(Exception):
    """The answer does not tell the probabilities of the prompt's tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token of the prompt as a server tells it."""

    text: str
    surprise: float | None
    """Negative log-likelihood in nats; None for the first, of which nothing is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A token, and the characters of the scored part that it stands for."""

    start: int
    end: int
    surprise: float


def tokens_of(choice: Mapping[str, Any], prompt: str) -> list[Token]:
    """The tokens in one choice of an answer, in any of three shapes: vLLM's `prompt_logprobs`,
    `logprobs` with `tokens` and `token_logprobs` (OpenAI's completions, vLLM, llama-cpp-python),
    or `logprobs` with `content` (as in chats, llama.cpp). Raises NoPromptTokens."""
    told = choice.get("prompt_logprobs")
    found: list[Token] = []
    if isinstance(told, list):
        found = [token for entry in told if (token := _entry(entry)) is not None]
    elif isinstance(logprobs := choice.get("logprobs"), Mapping):
        if isinstance(logprobs.get("content"), list):
            content = logprobs["content"]
            found = [Token(text=_text(e), surprise=_surprise(e.get("logprob"))) for e in content]
        elif isinstance(logprobs.get("tokens"), list):
            texts, values = logprobs["tokens"], logprobs.get("token_logprobs") or []
            # What was generated behind the prompt is told too.
            offsets = logprobs.get("text_offset") or [0] * len(texts)
            found = [
                Token(text=str(text), surprise=_surprise(value))
                for text, value, offset in zip(texts, values, offsets, strict=False)
                if offset < len(prompt)
            ]
    # The one generated token alone has perhaps a few characters; a prompt has more.
    if sum(len(token.text) for token in found) * 2 < len(prompt):
        raise NoPromptTokens(
            "the server told the probabilities of no or few tokens of its prompt: it needs vLLM's "
            "prompt_logprobs, or echo with logprobs (set scorer.ask to what it knows)"
        )
    return found


def _entry(entry: Any) -> Token | None:
    """One position of vLLM's list: tokens by their number, of which the prompt's own comes first;
    None stands for the first position."""
    if not isinstance(entry, Mapping) or not entry:
        return None
    first = next(iter(entry.values()))
    if isinstance(first, Mapping):
        return Token(
            text=str(first.get("decoded_token") or ""), surprise=_surprise(first.get("logprob"))
        )
    return None


def _text(entry: Mapping[str, Any]) -> str:
    data = entry.get("bytes")
    if isinstance(data, list):
        return bytes(data).decode("utf-8", "replace")
    return str(entry.get("token") or "")


def _surprise(value: Any) -> float | None:
    return -float(value) if isinstance(value, (int, float)) else None


def placed(tokens: Sequence[Token], prompt: str, scored: int) -> Iterator[Placed]:
    """The tokens that stand for characters from `scored` on, counted from there.

    A token's text is looked for where the one before it ended. What does not fit there (bytes of
    a character, a server's own marks for a space, its start token) waits for the next one that
    does, and shares the characters between; tokens behind the prompt are left out.
    """
    at = 0
    waiting: list[Token] = []
    for token in tokens:
        if at >= len(prompt):
            break
        text = token.text.replace("\u2581", " ")
        found = _find(text, prompt, at, bool(waiting))
        if found is None:
            waiting.append(token)
            continue
        if prompt[at:found].isspace() and not waiting:
            # Some servers leave out the space in front of a word.
            yield from _spread([token], prompt, at, found + len(text), scored)
        else:
            yield from _spread(waiting, prompt, at, found, scored)
            yield from _spread([token], prompt, found, found + len(text), scored)
        waiting = []
        at = found + len(text)
    yield from _spread(waiting, prompt, at, len(prompt), scored)


def _find(text: str, prompt: str, at: int, waiting: bool) -> int | None:
    """Where a token's text stands: here, or a little behind if others wait."""
    if not text or UNKNOWN in text:
        return None
    if prompt.startswith(text, at):
        return at
    behind = at + len(prompt[at : at + FAR]) - len(prompt[at : at + FAR].lstrip())
    if prompt.startswith(text, behind):
        return behind
    found = prompt.find(text, at, at + FAR + len(text)) if waiting or at == 0 else -1
    return found if found >= 0 else None


def _spread(
    tokens: Sequence[Token], prompt: str, start: int, end: int, scored: int
) -> Iterator[Placed]:
    """Some tokens on the characters that they stand for together, each on its share of the bytes:
    right to the character where each is one byte, which is what servers cannot show."""
    if end <= scored or start == end:
        return
    # The character that each byte belongs to.
    owner = [i for i in range(start, end) for _ in prompt[i].encode("utf-8", "surrogatepass")]
    share = len(owner) / max(len(tokens), 1)
    for place, token in enumerate(tokens):
        first = owner[min(int(place * share), len(owner) - 1)]
        last = owner[max(min(math.ceil((place + 1) * share), len(owner)) - 1, 0)] + 1
        if token.surprise is not None and last > scored:
            yield Placed(
                start=max(first, scored) - scored, end=last - scored, surprise=token.surprise
            )
