"""How surprised a small language model is by each token of a text (perplexity, token by token)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from unabridged.compression.batches import batches
from unabridged.compression.cores import runner
from unabridged.compression.scorer import TokenScores
from unabridged.compression.surrogates import legible

DECIMALS = 3
"""Scores are rounded to this: batches of different shapes differ in the sixth digit, and a
ranking must not depend on the company that a text was scored in."""

ROWS = 128
"""Positions for which all the vocabulary's logits exist at the same time."""


GGUF = ".gguf"


class NoModel(Exception):
    """The place does not hold a model that can be loaded."""


class NoDevice(Exception):
    """The device that models are to compute on is not in this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One forward pass: some context, then tokens of a text to be scored."""

    text: int
    """Index of the text."""
    ids: tuple[int, ...]
    start: int
    """Number of the first scored token in its text; the scored ones are the last of `ids`."""
    scored: int


def load_tokenizer(place: Path) -> Tokenizer:
    """The fast tokenizer of a model, without truncation or padding."""
    if place.suffix == GGUF:
        from transformers import AutoTokenizer

        fast: Any = AutoTokenizer.from_pretrained(place.parent, gguf_file=place.name)
        tokenizer: Tokenizer = fast.backend_tokenizer
    else:
        file = place / "tokenizer.json"
        if not file.is_file():
            raise NoModel(f"{place} has no tokenizer.json, which character offsets need")
        tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def load_model(place: Path, device: torch.device | None = None) -> Any:
    """The weights of a directory or a GGUF file, ready to run: in float32 on the CPU, where half
    precision is slower, and as they were saved elsewhere."""
    device = device or torch.device("cpu")
    packed = place.suffix == GGUF
    if not packed and not (place / "config.json").is_file():
        raise NoModel(f"{place} has no config.json; `unabridged models list` shows what is there")
    if packed and find_spec("accelerate") is None:
        raise NoModel(f"{place} is a GGUF file, which needs: pip install 'unabridged[gguf]'")
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    quiet: Any = logging
    quiet.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        place.parent if packed else place,
        gguf_file=place.name if packed else None,
        dtype=torch.float32 if device.type == "cpu" else "auto",
        local_files_only=True,
    )
    return model.train(False).to(device)


def device_of(name: str) -> torch.device:
    """The device of a name; `auto` is CUDA or MPS if it is there, else the CPU. Raises NoDevice."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((kind for kind, here in there.items() if here), "cpu"))
    kind = name.partition(":")[0]
    if not there.get(kind, kind == "cpu"):
        raise NoDevice(
            f"device {name!r} is not there (torch {torch.__version__}); set server.device to auto "
            "or cpu, or install a torch built for it"
        )
    return torch.device(name)


class CausalScorer:
    """A Scorer on the weights of any causal model that transformers loads.

    A text is scored once: hidden states first, then the head in slices, so that the logits of
    the whole vocabulary never exist for more than a few positions. What is longer than `window`
    tokens is scored in windows that overlap by a quarter.
    """

    def __init__(
        self,
        place: Path,
        *,
        device: str = "cpu",
        threads: int | None = None,
        window: int = 2048,
        batch_tokens: int = 256,
    ) -> None:
        """`place`: a directory or a GGUF file. `threads`: batches that are scored side by side on
        a processor (None: as torch has cores). `batch_tokens`: most tokens of one, padding
        included, unless a single text has more. Raises NoModel and NoDevice."""
        self._device = device_of(device)
        self._tokenizer = load_tokenizer(place)
        # A document may quote `<|im_end|>`: in a text it is text, not the end of a turn.
        self._tokenizer.encode_special_tokens = True
        self._model = load_model(place, self._device)
        self._runner = runner(self._device, threads)
        limit = getattr(self._model.config, "max_position_embeddings", None) or window
        self._window = min(window, limit)
        self._batch_tokens = batch_tokens
        self._revision = fingerprint(place)
        self._prefix = _first(self._model.config)
        self._whole_head = not self._head_is_plain()

    @property
    def revision(self) -> str:
        """Hash of configuration, tokenizer and weights' size and edges, and how they are used."""
        # Other devices round otherwise: two replicas agree only if they compute on the same kind.
        where = "" if self._device.type == "cpu" else f"-{self._device.type}"
        return f"{self._revision}-w{self._window}-d{DECIMALS}{where}"

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        """Negative log-likelihood in nats of every token of `texts`, each given its condition.

        The first token of a text without a condition is scored after the model's start token.
        Empty texts have no tokens. Raises ValueError if there are conditions, but not one for
        each text.
        """
        if conditions and len(conditions) != len(texts):
            raise ValueError(f"{len(conditions)} conditions for {len(texts)} texts")
        encoded = self._tokenizer.encode_batch([*map(legible, texts)], add_special_tokens=False)
        given = self._tokenizer.encode_batch([*map(legible, conditions)], add_special_tokens=False)
        windows: list[Window] = []
        for index, text in enumerate(encoded):
            context = given[index].ids if conditions else []
            windows += self._windows(index, context, text.ids)
        scores = [np.zeros(len(text.ids), dtype=np.float32) for text in encoded]
        cut = batches(windows, self._batch_tokens)
        for batch, found in zip(cut, self._runner.each(self._forward, cut), strict=True):
            for window, values in zip(batch, found, strict=True):
                scores[window.text][window.start : window.start + window.scored] = values
        return [
            TokenScores(
                spans=np.array(text.offsets, dtype=np.int32).reshape(-1, 2),
                scores=np.round(values, DECIMALS),
            )
            for text, values in zip(encoded, scores, strict=True)
        ]

    def _windows(self, index: int, context: Sequence[int], ids: Sequence[int]) -> list[Window]:
        """Cover the tokens of one text; each window begins with the start token and the end of
        the condition, then up to a quarter of a window of what was scored before."""
        kept = list(context)[-(self._window // 2) :] if context else []
        head = [*self._prefix, *kept]
        found: list[Window] = []
        start = 0
        while start < len(ids):
            back = min(start, self._window // 4)
            scored = min(len(ids) - start, max(self._window - len(head) - back, 1))
            tokens = (*head, *ids[start - back : start + scored])
            found.append(Window(text=index, ids=tokens, start=start, scored=scored))
            start += scored
        return found

    def _forward(self, batch: Sequence[Window]) -> list[NDArray[np.float32]]:
        width = max(len(window.ids) for window in batch)
        padded = torch.zeros((len(batch), width), dtype=torch.long)
        for row, window in enumerate(batch):
            padded[row, : len(window.ids)] = torch.tensor(window.ids)
        rows = torch.cat([torch.full((window.scored,), row) for row, window in enumerate(batch)])
        columns = torch.cat([torch.arange(len(w.ids) - w.scored, len(w.ids)) for w in batch])
        # Padding stands to the right, where no earlier position sees it: no mask is needed.
        found = self._surprise(*(x.to(self._device) for x in (padded, rows, columns)))
        values = found.float().cpu().numpy()
        return np.split(values, np.cumsum([window.scored for window in batch])[:-1])

    def _surprise(
        self, padded: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor
    ) -> torch.Tensor:
        labels = padded[rows, columns]
        if self._whole_head:
            logits = self._model(input_ids=padded, use_cache=False).logits
            return negative_log_likelihood(logits[rows, columns - 1], labels)
        body = self._model.get_decoder()
        hidden = body(input_ids=padded, use_cache=False).last_hidden_state
        hidden = hidden[rows, columns - 1]
        head = self._model.get_output_embeddings()
        return torch.cat(
            [
                negative_log_likelihood(head(part), wanted)
                for part, wanted in zip(
                    torch.split(hidden, ROWS), torch.split(labels, ROWS), strict=True
                )
            ]
        )

    @torch.inference_mode()
    def _head_is_plain(self) -> bool:
        """Some models scale or cap their logits after the head; then the head alone is wrong."""
        ids = torch.tensor([[*self._prefix, 1, 2, 3]], device=self._device)
        body = self._model.get_decoder()
        head = self._model.get_output_embeddings()
        if body is None or body is self._model or head is None:
            return False
        alone = head(body(input_ids=ids, use_cache=False).last_hidden_state)
        whole = self._model(input_ids=ids, use_cache=False).logits
        return torch.allclose(alone, whole, rtol=1e-4, atol=1e-4)


def negative_log_likelihood(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Shape (positions,) from logits of shape (positions, vocabulary) and the tokens that came."""
    chosen = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    return torch.logsumexp(logits, dim=1) - chosen


def _first(config: Any) -> list[int]:
    """What stands before the first token of a text, so that it too has a score."""
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        token = getattr(config, name, None)
        token = token[0] if isinstance(token, list) and token else token
        if isinstance(token, int):
            return [token]
    return [0]


def fingerprint(place: Path) -> str:
    """Short hash of what decides a model's scores: config and tokenizer whole, weights by size
    and by their first and last megabyte, so that half a gigabyte need not be read."""
    digest = hashlib.sha256()
    for file in [place] if place.suffix == GGUF else sorted(place.glob("*.safetensors")):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(1 << 20))
            stream.seek(max(0, size - (1 << 20)))
            digest.update(stream.read())
    for name in ("config.json", "tokenizer.json"):
        if (place / name).is_file():
            digest.update((place / name).read_bytes())
    return digest.hexdigest()[:16]
