"""Packs a transformers model as a GGUF file, as llama.cpp's own script would."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

from unabridged.proxy.gguf_weights import OUTER, TENSORS


def pack(model: Path, file: Path, architecture: str = "llama") -> None:
    """Write `model` to `file`, its q and k rows interleaved, its large matrices in Q8_0."""
    config = json.loads((model / "config.json").read_text())
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    writer = gguf.GGUFWriter(str(file), architecture)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    _add_tokenizer(writer, config, tokenizer)
    names = {theirs: ours for ours, theirs in OUTER.items()}
    parts = {theirs: ours for ours, theirs in TENSORS.items()}
    for name, weights in load_file(model / "model.safetensors").items():
        if name not in names:
            layer, rest = name.removeprefix("model.layers.").split(".", 1)
            stem, suffix = rest.rsplit(".", 1)
            if stem.endswith(("q_proj", "k_proj")):
                key = "num_attention_heads" if "q_proj" in stem else "num_key_value_heads"
                weights = _interleave(weights, config[key])
            names[name] = f"blk.{layer}.{parts[stem]}.{suffix}"
        if weights.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(names[name], gguf.quantize(weights, kind), raw_dtype=kind)
        else:
            writer.add_tensor(names[name], weights.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter, config: dict, tokenizer: dict) -> None:
    vocabulary = tokenizer["model"]["vocab"]
    special = {token["content"] for token in tokenizer["added_tokens"]}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    merges = tokenizer["model"]["merges"]
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_chat_template("{{ messages[0]['content'] }}")


def _interleave(weights: np.ndarray, heads: int) -> np.ndarray:
    rows = weights.shape[0]
    halves = weights.reshape(heads, 2, rows // heads // 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)
