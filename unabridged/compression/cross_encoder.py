"""Reads question and passage together and says how well they fit (a cross-encoder)."""

from __future__ import annotations

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
from unabridged.compression.sentence_encoder import most_tokens
from unabridged.compression.surrogates import legible

DECIMALS = 3
"""As for a causal model's scores: batches of different shapes differ in the last digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The question and a passage, or a part of it, as the model reads them."""

    text: int
    """Index of the passage."""
    ids: tuple[int, ...]
    types: tuple[int, ...]
    start: int = 0


class CrossEncoder:
    """A Reranker on any sequence classifier that transformers loads: one label is the score, of
    several the last one (`relevant`) stands against the first.

    A passage that does not fit the window behind its question is read in windows that overlap by
    a quarter, and is worth what its best window is.
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
        cores). `batch_tokens`: most tokens of one, padding included, unless a single pair has
        more. Raises NoModel and NoDevice."""
        self._device = device_of(device)
        self._tokenizer = load_tokenizer(directory)
        self._tokenizer.encode_special_tokens = True
        self._model = _load(directory).to(self._device)
        self._runner = runner(self._device, threads)
        self._window = min(window, most_tokens(self._model.config) or window)
        self._pad = int(getattr(self._model.config, "pad_token_id", None) or 0)
        self._batch_tokens = batch_tokens
        self._revision = fingerprint(directory)

    @property
    def revision(self) -> str:
        """Hash of configuration, tokenizer and weights' size and edges, and how they are used."""
        return f"{self._revision}-w{self._window}"

    def scores(
        self,
        question: str,
        passages: Sequence[str],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> NDArray[np.float64]:
        """The model's own numbers, shape (passages,). Raises what `checkpoint` raises."""
        pairs: list[Pair] = []
        question = legible(question)
        for i, passage in enumerate(map(legible, passages)):
            for part in self._parts(question, passage):
                ids, types = self._pair(question, part)
                pairs.append(Pair(text=i, ids=tuple(ids), types=tuple(types)))
        found = np.full(len(passages), -np.inf)
        cut = batches(pairs, self._batch_tokens)
        for batch, read in zip(cut, self._runner.each(self._forward, cut, checkpoint), strict=True):
            for pair, value in zip(batch, read, strict=True):
                found[pair.text] = max(found[pair.text], value)
        return found.round(DECIMALS)

    def _parts(self, question: str, passage: str) -> list[str]:
        used = len(self._pair(question, "")[0])
        room = max(self._window - used, self._window // 2)
        offsets = self._tokenizer.encode(passage, add_special_tokens=False).offsets
        if len(offsets) <= room:
            return [passage]
        starts = range(0, len(offsets) - room // 4, room - room // 4)
        return [
            passage[offsets[a][0] : offsets[min(a + room, len(offsets)) - 1][1]] for a in starts
        ]

    def _pair(self, question: str, passage: str) -> tuple[list[int], list[int]]:
        encoded = self._tokenizer.encode(question, passage, add_special_tokens=True)
        # The question is longer than the window: its beginning has to do.
        return encoded.ids[: self._window], encoded.type_ids[: self._window]

    def _forward(self, batch: Sequence[Pair]) -> list[float]:
        width = max(len(pair.ids) for pair in batch)
        ids = torch.full((len(batch), width), self._pad, dtype=torch.long)
        mask, types = torch.zeros_like(ids), torch.zeros_like(ids)
        for row, pair in enumerate(batch):
            ids[row, : len(pair.ids)] = torch.tensor(pair.ids)
            types[row, : len(pair.ids)] = torch.tensor(pair.types)
            mask[row, : len(pair.ids)] = 1
        given = {"input_ids": ids, "attention_mask": mask}
        if getattr(self._model.config, "type_vocab_size", 0) > 1:
            given["token_type_ids"] = types
        on_device = {name: value.to(self._device) for name, value in given.items()}
        logits = self._model(**on_device).logits.float().cpu()
        value = logits[:, -1] if logits.shape[1] == 1 else logits[:, -1] - logits[:, 0]
        return [float(x) for x in value]


def _load(directory: Path) -> Any:
    if not (directory / "config.json").is_file():
        raise NoModel(
            f"{directory} has no config.json; `unabridged models list` shows what is there"
        )
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    quiet: Any = logging
    quiet.disable_progress_bar()
    model = AutoModelForSequenceClassification.from_pretrained(
        directory, dtype=torch.float32, local_files_only=True
    )
    return model.train(False)
