"""Judges the words of texts with a token classifier: one forward pass for each chunk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unabridged.compression.batches import batches
from unabridged.compression.causal_lm import NoModel, fingerprint, load_tokenizer
from unabridged.compression.classifier import ENDS, Judged, halves
from unabridged.compression.cores import Cores
from unabridged.compression.surrogates import legible
from unabridged.compression.tongue import reads

ADAPTER = "adapter_config.json"
"""Beside an adapter's weights, as peft writes it."""

ASKING = ("word", "sentence", "passage")
"""The labels of a classifier that reads the question in front of the text."""

KEEPING = ("keep", "kept", "preserve", "LABEL_1")
"""How checkpoints call the label of what stays, where they have two."""

MOST = 512
"""Tokens of a chunk at most, whatever the model could read: longer ones cost more each."""

QUESTION = 64
"""Tokens of a question that are read; what is longer is cut in its middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The tokens of one forward pass."""

    text: int
    """Index of the text."""
    ids: tuple[int, ...]
    types: tuple[int, ...]
    skip: int
    """First tokens of `ids` that are none of the text's: special ones, the question."""
    start: int
    """Number of the first token behind them in its text."""
    count: int
    """Tokens of the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The special tokens that the architecture wants around a text, or a question and a text."""

    first: tuple[int, ...]
    between: tuple[int, ...]
    last: tuple[int, ...]
    types: tuple[int, int]
    """Token type of the question's half and of the text's."""


class TokenClassifier:
    """A Classifier on any token classifier that transformers loads, or on an adapter.

    What the model is and how it is read comes from its configuration and its tokenizer, never
    from its name. Two labels: the softmax of the one that keeps. One: its sigmoid. The labels
    word, sentence and passage: a classifier that reads the question.
    """

    def __init__(
        self,
        directory: Path,
        *,
        base: Path | None = None,
        threads: int | None = None,
        batch_tokens: int = 512,
    ) -> None:
        """`base`: the weights that `directory` adapts, if it is an adapter.
        `batch_tokens`: most tokens of one forward pass, padding included, unless a single chunk
        has more. `threads`: batches that are read side by side (None: as torch has cores)."""
        own = (directory / "tokenizer.json").is_file()
        self._tokenizer = load_tokenizer(directory if own or base is None else base)
        self._tokenizer.encode_special_tokens = True
        self._model = load(directory, base)
        config = self._model.config
        names = [str(config.id2label[i]) for i in range(config.num_labels)]
        self._asks = tuple(names) == ASKING
        self._kept = next((names.index(name) for name in KEEPING if name in names), len(names) - 1)
        self._typed = int(getattr(config, "type_vocab_size", 0) or 0) > 1
        self._pad = int(getattr(config, "pad_token_id", None) or 0)
        self._window = _window(config, directory)
        self._frames = {asked: _frame(self._tokenizer, asked) for asked in (False, True)}
        self._unknown = _unknown(self._tokenizer)
        self._cores = Cores(threads)
        self._batch_tokens = batch_tokens
        self._revision = "-".join(fingerprint(place) for place in (directory, base) if place)
        self._revision += f"-w{self._window}"

    @property
    def revision(self) -> str:
        """Hash of configuration, tokenizer and weights, and how they are used."""
        return self._revision

    @property
    def asks(self) -> bool:
        """True if it reads the question together with a text."""
        return self._asks

    def reads(self, text: str) -> bool:
        """True if it knows the language that most of the text is written in."""
        return reads(self._tokenizer, text)

    def judge(
        self,
        texts: Sequence[str],
        questions: Sequence[str] = (),
        *,
        ends: Sequence[str] = ENDS,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> list[Judged]:
        """Probabilities for every token of `texts`; an empty text has none.

        Questions are read by a model with the labels of ASKING alone. Raises ValueError if there
        are questions, but not one for each text, and what `checkpoint` raises.
        """
        if questions and len(questions) != len(texts):
            raise ValueError(f"{len(questions)} questions for {len(texts)} texts")
        asked = bool(questions) and self._asks
        encoded = self._tokenizer.encode_batch([*map(legible, texts)], add_special_tokens=False)
        before = self._asked(questions) if asked else [()] * len(texts)
        stops = _stops(self._tokenizer, ends)
        chunks: list[Chunk] = []
        for index, text in enumerate(encoded):
            chunks += self._chunks(index, before[index], text.ids, stops, self._frames[asked])
        keep = [np.zeros((len(text.ids), 2), dtype=np.float32) for text in encoded]
        relevance = [0.0] * len(texts)
        cut = batches(chunks, self._batch_tokens)
        for batch, read in zip(cut, self._cores.each(self._forward, cut, checkpoint), strict=True):
            for chunk, (words, passage) in zip(batch, read, strict=True):
                keep[chunk.text][chunk.start : chunk.start + chunk.count] = words
                relevance[chunk.text] = max(relevance[chunk.text], passage)
        return [
            self._judged(text, values, found if asked else None)
            for text, values, found in zip(encoded, keep, relevance, strict=True)
        ]

    def _judged(self, text: Any, values: NDArray[np.float32], passage: float | None) -> Judged:
        kept = np.where(np.isin(text.ids, self._unknown), np.float32(1), values[:, 0])
        return Judged(
            spans=np.array(text.offsets, dtype=np.int32).reshape(-1, 2),
            keep=halves(kept),
            sentence=None if passage is None else halves(values[:, 1]),
            relevance=None if passage is None else float(np.float16(passage)),
        )

    def _asked(self, questions: Sequence[str]) -> list[tuple[int, ...]]:
        found = []
        asked = self._tokenizer.encode_batch([*map(legible, questions)], add_special_tokens=False)
        for encoded in asked:
            ids = encoded.ids
            if len(ids) > QUESTION:
                ids = ids[: QUESTION // 2] + ids[-QUESTION // 2 :]
            found.append(tuple(ids))
        return found

    def _chunks(
        self,
        index: int,
        question: tuple[int, ...],
        ids: Sequence[int],
        stops: NDArray[np.int64],
        frame: Frame,
    ) -> Iterator[Chunk]:
        """Each chunk ends behind the last of its tokens that ends a sentence, if there is one."""
        lead = (*frame.first, *question, *frame.between)
        room = max(self._window - len(lead) - len(frame.last), 1)
        ends = np.isin(ids, stops).nonzero()[0] + 1
        start = 0
        while start < len(ids):
            stop = min(start + room, len(ids))
            if stop < len(ids):
                last = int(np.searchsorted(ends, stop, side="right")) - 1
                stop = int(ends[last]) if last >= 0 and ends[last] > start else stop
            body = (*ids[start:stop], *frame.last)
            types = (frame.types[0],) * len(lead) + (frame.types[1],) * len(body)
            yield Chunk(
                text=index,
                ids=(*lead, *body),
                types=types,
                skip=len(lead),
                start=start,
                count=stop - start,
            )
            start = stop

    def _forward(self, batch: Sequence[Chunk]) -> list[tuple[NDArray[np.float32], float]]:
        """For each chunk keep and sentence probability of its tokens, and the passage's."""
        width = max(len(chunk.ids) for chunk in batch)
        ids = torch.full((len(batch), width), self._pad, dtype=torch.long)
        mask, types = torch.zeros_like(ids), torch.zeros_like(ids)
        for row, chunk in enumerate(batch):
            ids[row, : len(chunk.ids)] = torch.tensor(chunk.ids)
            types[row, : len(chunk.ids)] = torch.tensor(chunk.types)
            mask[row, : len(chunk.ids)] = 1
        more = {"token_type_ids": types} if self._typed else {}
        logits = self._model(input_ids=ids, attention_mask=mask, **more).logits.float()
        passage = np.zeros(len(batch), dtype=np.float32)
        if self._asks:
            found = logits.sigmoid().numpy()
            passage = found[:, 0, 2]
        elif logits.shape[-1] == 1:
            found = logits.sigmoid().numpy()
        else:
            found = logits.softmax(-1)[..., self._kept, None].numpy()
        both = found[..., [0, min(1, found.shape[-1] - 1)]]
        return [
            (both[row, chunk.skip : chunk.skip + chunk.count], float(passage[row]))
            for row, chunk in enumerate(batch)
        ]


def load(directory: Path, base: Path | None) -> Any:
    """A classifier in float32 on the CPU, ready to run; an adapter merged into its base, so that
    it costs nothing at run time. Raises NoModel."""
    if not (directory / "config.json").is_file():
        raise NoModel(
            f"{directory} has no config.json; `unabridged models list` shows what is there"
        )
    from transformers import AutoConfig, AutoModelForTokenClassification
    from transformers.utils import logging

    quiet: Any = logging
    quiet.disable_progress_bar()
    loud = quiet.get_verbosity()
    quiet.set_verbosity_error()  # a base without a head is no cause for a warning
    try:
        config = AutoConfig.from_pretrained(directory, local_files_only=True)
        if base is None:
            _is_classifier(config, directory)
        model = AutoModelForTokenClassification.from_pretrained(
            base or directory,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            ignore_mismatched_sizes=base is not None,  # the adapter brings its own head
        )
    finally:
        quiet.set_verbosity(loud)
    if base is not None:
        merge(model, directory)
    return model.train(False)


def _is_classifier(config: Any, directory: Path) -> None:
    kinds = list(config.architectures or [])
    if not any(kind.endswith("ForTokenClassification") for kind in kinds):
        raise NoModel(
            f"{directory} holds {', '.join(kinds) or 'no architecture'}, not a token classifier; "
            "train a head with `unabridged train fit`"
        )


def merge(model: Any, directory: Path) -> None:
    """Add a LoRA adapter to a model's weights (Hu et al., 2021: W + alpha/r B A), and put its
    head in the head's place. Raises NoModel for an adapter of another kind."""
    from safetensors.torch import load_file

    said = json.loads((directory / ADAPTER).read_text("utf-8"))
    if said.get("peft_type") != "LORA" or said.get("use_dora") or said.get("alpha_pattern"):
        raise NoModel(f"{directory / ADAPTER}: only plain LoRA adapters can be merged")
    weights = load_file(directory / "adapter_model.safetensors")
    own = dict(model.named_parameters())
    with torch.no_grad():
        for key, value in weights.items():
            name = key.removeprefix("base_model.model.")
            if name.endswith(".lora_B.weight"):
                continue
            if name.endswith(".lora_A.weight"):
                target = name.removesuffix(".lora_A.weight") + ".weight"
                up = weights[key.replace(".lora_A.", ".lora_B.")].float()
                rank = value.shape[0]
                by = said["lora_alpha"] / (rank**0.5 if said.get("use_rslora") else rank)
                value = own[target].data + by * (up @ value.float()) if target in own else value
            else:
                target = name
            if target not in own or own[target].shape != value.shape:
                raise NoModel(f"{directory}: the adapter was trained on another base ({target})")
            own[target].data.copy_(value)


def _window(config: Any, directory: Path) -> int:
    """Tokens of a chunk, special ones included."""
    limit = int(getattr(config, "max_position_embeddings", None) or MOST)
    # RoBERTa's positions begin behind its padding token.
    if config.model_type in ("roberta", "xlm-roberta", "camembert"):
        limit -= int(config.pad_token_id) + 1
    file = directory / "tokenizer_config.json"
    said = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return int(min(MOST, limit, said.get("model_max_length") or MOST))


def _frame(tokenizer: Any, asked: bool) -> Frame:
    given = ("a", "b") if asked else ("a",)
    encoding = tokenizer.encode(*given, add_special_tokens=True)
    of, ids, types = encoding.sequence_ids, encoding.ids, encoding.type_ids
    text = len(given) - 1
    inside = [i for i, sequence in enumerate(of) if sequence == text]
    if not inside:
        return Frame(first=(), between=(), last=(), types=(0, 0))
    first, last = inside[0], inside[-1] + 1
    if not asked:
        return Frame(
            first=tuple(ids[:first]),
            between=(),
            last=tuple(ids[last:]),
            types=(types[first], types[first]),
        )
    question = [i for i, sequence in enumerate(of) if sequence == 0]
    return Frame(
        first=tuple(ids[: question[0]]),
        between=tuple(ids[question[-1] + 1 : first]),
        last=tuple(ids[last:]),
        types=(types[question[0]], types[first]),
    )


def _unknown(tokenizer: Any) -> list[int]:
    """Ids that stand for characters the tokenizer does not have."""
    model = json.loads(tokenizer.to_str())["model"]
    token = model.get("unk_token")
    found = model.get("unk_id") if token is None else tokenizer.token_to_id(token)
    return [] if found is None else [int(found)]


def _stops(tokenizer: Any, ends: Sequence[str]) -> NDArray[np.int64]:
    """Ids of the tokens that end a chunk, as the tokenizer writes them behind a word."""
    found = set()
    for end in ends:
        ids = tokenizer.encode(f"a{end}", add_special_tokens=False).ids
        whole = tokenizer.encode("a", add_special_tokens=False).ids
        if len(ids) == len(whole) + 1:
            found.add(int(ids[-1]))
    return np.array(sorted(found), dtype=np.int64)
