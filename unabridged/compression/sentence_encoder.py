"""What a small sentence encoder reads in passages: one pass for a text and all its sentences."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unabridged.compression.batches import batches
from unabridged.compression.causal_lm import NoModel, device_of, fingerprint, load_tokenizer
from unabridged.compression.cores import runner
from unabridged.compression.encoder import Encoded, Vectors, unit
from unabridged.compression.prompt import Span
from unabridged.compression.surrogates import legible
from unabridged.compression.tongue import reads

PROMPTS = "config_sentence_transformers.json"
"""Beside the weights: what some models want in front of a question and of a passage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The tokens of one forward pass."""

    text: int
    """Index of the text."""
    ids: tuple[int, ...]
    skip: int
    """First tokens of `ids` that only give context: the special one, the prompt, and what the
    window before has read already."""
    start: int
    """Number of the first token behind them in its text."""
    count: int
    """Tokens read here for the first time."""


def most_tokens(config: Any) -> int | None:
    """Tokens that an encoder can read at once; None: its configuration sets no limit."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:
        return None
    # RoBERTa's positions begin behind its padding token.
    behind = config.model_type in ("roberta", "xlm-roberta", "camembert")
    return int(positions) - (int(config.pad_token_id) + 1 if behind else 0)


class SentenceEncoder:
    """An Encoder on any bidirectional model that transformers loads, pooling by the mean.

    A sentence's vector is the mean of its own tokens' states in the pass over the whole passage:
    it knows who `he` is, and costs nothing. What is longer than `window` tokens is read in windows
    that overlap by an eighth.
    """

    def __init__(
        self,
        directory: Path,
        *,
        device: str = "cpu",
        threads: int | None = None,
        window: int = 512,
        batch_tokens: int = 512,
    ) -> None:
        """`threads`: batches that are read side by side on a processor (None: as torch has
        cores). `batch_tokens`: most tokens of one, padding included, unless a single window has
        more. Raises NoModel and
        NoDevice."""
        self._device = device_of(device)
        self._tokenizer = load_tokenizer(directory)
        self._tokenizer.encode_special_tokens = True
        self._model = _load(directory).to(self._device)
        self._runner = runner(self._device, threads)
        self._before, self._after = _frame(self._tokenizer)
        self._prompts = _prompts(directory)
        self._window = min(window, most_tokens(self._model.config) or window)
        self._pad = int(getattr(self._model.config, "pad_token_id", None) or 0)
        self._batch_tokens = batch_tokens
        self._revision = fingerprint(directory)

    @property
    def revision(self) -> str:
        """Hash of configuration, tokenizer and weights' size and edges, and how they are used."""
        return f"{self._revision}-w{self._window}"

    def reads(self, text: str) -> bool:
        """True for a multilingual model, and if the vocabulary holds most words of a sample of
        the text whole: in a foreign language it holds only pieces of them."""
        return reads(self._tokenizer, text)

    def question(self, text: str) -> Vectors:
        """The vector of what is asked, shape (size,)."""
        return self._read([text], [()], self._prompts[0], lambda: None)[0].whole

    def passages(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> list[Encoded]:
        """The vectors of texts and of stretches of them.

        A token belongs to the stretch that holds its last character; a stretch without any gets
        its text's vector, a text without any zeros. Raises ValueError if there is not one list
        of spans for each text, and what `checkpoint` raises.
        """
        if len(spans) != len(texts):
            raise ValueError(f"{len(spans)} lists of spans for {len(texts)} texts")
        return self._read(texts, spans, self._prompts[1], checkpoint)

    def _read(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        prompt: str,
        checkpoint: Callable[[], None],
    ) -> list[Encoded]:
        lead = (
            self._tokenizer.encode(legible(prompt), add_special_tokens=False).ids if prompt else []
        )
        encoded = self._tokenizer.encode_batch([*map(legible, texts)], add_special_tokens=False)
        size = int(self._model.config.hidden_size)
        states = [np.zeros((len(text.ids), size), dtype=np.float32) for text in encoded]
        windows: list[Window] = []
        for index, text in enumerate(encoded):
            windows += self._windows(index, lead, text.ids)
        cut = batches(windows, self._batch_tokens)
        for batch, read in zip(cut, self._runner.each(self._forward, cut, checkpoint), strict=True):
            for window, found in zip(batch, read, strict=True):
                states[window.text][window.start : window.start + window.count] = found
        return [
            pool(state, np.array([end for _, end in text.offsets], dtype=np.int64), inside)
            for state, text, inside in zip(states, encoded, spans, strict=True)
        ]

    def _windows(self, index: int, lead: Sequence[int], ids: Sequence[int]) -> list[Window]:
        head = (*self._before, *lead)
        room = self._window - len(head) - len(self._after)
        found: list[Window] = []
        start = 0
        while start < len(ids):
            back = min(start, room // 8)
            count = min(len(ids) - start, max(room - back, 1))
            body = ids[start - back : start + count]
            found.append(
                Window(
                    text=index,
                    ids=(*head, *body, *self._after),
                    skip=len(head) + back,
                    start=start,
                    count=count,
                )
            )
            start += count
        return found

    def _forward(self, batch: Sequence[Window]) -> list[NDArray[np.float32]]:
        width = max(len(window.ids) for window in batch)
        ids = torch.full((len(batch), width), self._pad, dtype=torch.long)
        mask = torch.zeros((len(batch), width), dtype=torch.long)
        for row, window in enumerate(batch):
            ids[row, : len(window.ids)] = torch.tensor(window.ids)
            mask[row, : len(window.ids)] = 1
        ids, mask = ids.to(self._device), mask.to(self._device)
        hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        hidden = hidden.float().cpu().numpy()
        return [
            hidden[row, window.skip : window.skip + window.count]
            for row, window in enumerate(batch)
        ]


def pool(states: NDArray[np.float32], ends: NDArray[np.int64], spans: Sequence[Span]) -> Encoded:
    """Means of token states: over all tokens, and over those that end inside each span.

    `states` has the shape (tokens, size), `ends` the shape (tokens,): the character each ends at.
    """
    sums = np.concatenate([np.zeros((1, states.shape[1])), np.cumsum(states, 0, dtype=np.float64)])
    whole = unit((sums[-1] / max(len(states), 1)).astype(np.float32))
    if not spans:
        return Encoded(whole=whole, spans=np.zeros((0, states.shape[1]), dtype=np.float32))
    edges = np.array(spans, dtype=np.int64)
    first = np.searchsorted(ends, edges[:, 0], side="right")
    last = np.searchsorted(ends, edges[:, 1], side="right")
    found = [
        unit(((sums[b] - sums[a]) / (b - a)).astype(np.float32)) if b > a else whole
        for a, b in zip(first, last, strict=True)
    ]
    return Encoded(whole=whole, spans=np.array(found, dtype=np.float32))


def _load(directory: Path) -> Any:
    if not (directory / "config.json").is_file():
        raise NoModel(
            f"{directory} has no config.json; `unabridged models list` shows what is there"
        )
    from transformers import AutoModel
    from transformers.utils import logging

    quiet: Any = logging
    quiet.disable_progress_bar()
    model = AutoModel.from_pretrained(directory, dtype=torch.float32, local_files_only=True)
    return model.train(False)


def _frame(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The special tokens in front of a text and behind it."""
    encoding = tokenizer.encode("a", add_special_tokens=True)
    inside = [i for i, special in enumerate(encoding.special_tokens_mask) if not special]
    ids = encoding.ids
    return (tuple(ids[: inside[0]]), tuple(ids[inside[-1] + 1 :])) if inside else ((), ())


def _prompts(directory: Path) -> tuple[str, str]:
    """What stands in front of a question and of a passage (E5: `query: ` and `passage: `)."""
    file = directory / PROMPTS
    said = json.loads(file.read_text("utf-8")).get("prompts") if file.is_file() else None
    said = said or {}
    return said.get("query", ""), said.get("document", said.get("passage", ""))
