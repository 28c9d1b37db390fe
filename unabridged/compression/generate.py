"""A small causal model answers a chat, one piece of text at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from unabridged.compression.causal_lm import NoModel, load_model, load_tokenizer
from unabridged.compression.surrogates import legible

PREFILL = 256
"""Tokens of the prompt that are read between two looks at whether anybody still waits."""


class TooLong(Exception):
    """The messages leave no room for an answer in the model's window."""


@dataclass(slots=True)
class Reply:
    """What is known of an answer when it has ended."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: str = "stop"
    """stop or length."""


class ChatModel:
    """Any causal model with a chat template; greedy unless a temperature is given.

    Not safe to use from two threads at once.
    """

    def __init__(self, directory: Path, *, threads: int | None = None) -> None:
        # Two of them, because the switch between special tokens and text is a state of each.
        self._marks = load_tokenizer(directory)
        self._plain = load_tokenizer(directory)
        self._plain.encode_special_tokens = True
        self._template, self._names = _template(directory)
        self._model = load_model(directory)
        if threads:
            torch.set_num_threads(threads)
        self.window: int = self._model.config.max_position_embeddings
        """Most tokens of prompt and answer together."""
        ends = self._model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self._ends = frozenset(int(token) for token in ends if token is not None)

    def encode(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """The chat as token ids. What a message says is text, even if it looks like a mark of the
        template."""
        spoken = [str(message.get("content") or "") for message in messages]
        # The template may trim or test what it is given, but not find a mark in it.
        stand_ins = [f"\x00{i}\x00" if text else "" for i, text in enumerate(spoken)]
        try:
            rendered = self._template.render(
                messages=[
                    {**m, "content": content}
                    for m, content in zip(messages, stand_ins, strict=True)
                ],
                add_generation_prompt=True,
                **self._names,
            )
        except TemplateError as error:
            raise ValueError(
                f"the model's chat template refuses these messages: {error}"
            ) from error
        ids: list[int] = []
        # Between zero bytes stand the numbers of the messages: every second piece.
        for place, piece in enumerate(rendered.split("\x00")):
            if place % 2:
                ids += self._plain.encode(legible(spoken[int(piece)]), add_special_tokens=False).ids
            elif piece:
                ids += self._marks.encode(piece, add_special_tokens=False).ids
        return ids

    def count(self, text: str) -> int:
        """Tokens of a text."""
        return len(self._plain.encode(legible(text), add_special_tokens=False).ids)

    def reply(
        self,
        messages: Sequence[Mapping[str, Any]],
        max_tokens: int | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        stop: Sequence[str] = (),
        checkpoint: Callable[[], None] = lambda: None,
        report: Reply | None = None,
    ) -> Iterator[str]:
        """Yield the answer in pieces that never end inside a character; fills `report`.

        `checkpoint` is called between forward passes and may raise to stop. Raises TooLong
        before the first piece if the chat does not fit.
        """
        report = report if report is not None else Reply()
        ids = self.encode(messages)
        room = self.window - len(ids)
        if room < 1:
            raise TooLong(
                f"the messages have {len(ids)} tokens, the model's window is {self.window}"
            )
        report.prompt_tokens = len(ids)
        tokens = self._tokens(ids, min(max_tokens or room, room), temperature, seed, checkpoint)
        yield from _until(self._pieces(tokens, report), stop, report)

    def _pieces(self, tokens: Iterator[int], report: Reply) -> Iterator[str]:
        made: list[int] = []
        start, said = 0, ""
        report.finish_reason = "length"
        for token in tokens:
            report.completion_tokens += 1
            if token in self._ends:
                report.finish_reason = "stop"
                break
            made.append(token)
            text = self._plain.decode(made[start:], skip_special_tokens=False)
            if text.endswith("\ufffd"):  # a character of which only some bytes have come
                continue
            yield text[len(said) :]
            said = text
            if text.endswith("\n"):
                start, said = len(made), ""
        else:
            rest = self._plain.decode(made[start:], skip_special_tokens=False)[len(said) :]
            if rest:
                yield rest

    @torch.inference_mode()
    def _tokens(
        self,
        ids: Sequence[int],
        limit: int,
        temperature: float,
        seed: int | None,
        checkpoint: Callable[[], None],
    ) -> Iterator[int]:
        from transformers import DynamicCache

        cache = DynamicCache(config=self._model.config)
        chance = torch.Generator().manual_seed(seed if seed is not None else 0)
        logits = torch.empty(0)
        for start in range(0, len(ids), PREFILL):
            checkpoint()
            part = torch.tensor([ids[start : start + PREFILL]])
            logits = self._model(
                input_ids=part, past_key_values=cache, use_cache=True, logits_to_keep=1
            ).logits[0, -1]
        for made in range(limit):
            if temperature > 0:
                shares = torch.softmax(logits / temperature, dim=-1)
                token = int(torch.multinomial(shares, 1, generator=chance))
            else:
                token = int(logits.argmax())
            yield token
            if made + 1 == limit:
                return
            checkpoint()
            logits = self._model(
                input_ids=torch.tensor([[token]]), past_key_values=cache, use_cache=True
            ).logits[0, -1]


def _until(pieces: Iterator[str], stop: Sequence[str], report: Reply) -> Iterator[str]:
    """Pass pieces on up to the first stop string, holding back what may be the start of one."""
    stops = [text for text in stop if text]
    hold = max((len(text) for text in stops), default=1) - 1
    waiting = ""
    for piece in pieces:
        waiting += piece
        found = [at for text in stops if (at := waiting.find(text)) >= 0]
        if found:
            report.finish_reason = "stop"
            if waiting[: min(found)]:
                yield waiting[: min(found)]
            return
        ready = len(waiting) - hold
        if ready > 0:
            yield waiting[:ready]
            waiting = waiting[ready:]
    if waiting:
        yield waiting


def _template(directory: Path) -> tuple[Any, dict[str, str]]:
    """The chat template and the names of the tokens that it uses."""
    config: dict[str, Any] = {}
    if (directory / "tokenizer_config.json").is_file():
        config = json.loads((directory / "tokenizer_config.json").read_text(encoding="utf-8"))
    source = config.get("chat_template")
    if (directory / "chat_template.jinja").is_file():
        source = (directory / "chat_template.jinja").read_text(encoding="utf-8")
    if not isinstance(source, str):
        raise NoModel(f"{directory} has no chat template: it is not a model to chat with")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = _refuse
    names = {}
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        token = config.get(name)
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            names[name] = token
    return environment.from_string(source), names


def _refuse(message: str) -> None:
    raise TemplateError(message)
