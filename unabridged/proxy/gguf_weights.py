"""A model packed as one GGUF file becomes a directory that transformers can load."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, dequantize
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

Progress = Callable[[int, int, str], None]
"""Called with what is done, the whole (0: not known) and what is being done."""

TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Name of a layer's tensor in GGUF, and in transformers' Llama."""

OUTER = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}

SPECIAL = 3
"""GGUF's token type of control tokens."""


class NotConvertible(Exception):
    """The file holds a kind of model that is not handled here."""


def convert(source: Path, target: Path, progress: Progress, *, half: bool = False) -> None:
    """Write config.json, model.safetensors and tokenizer files of `source` into `target`.

    Weights are dequantised to float32 (`half`: float16). Raises NotConvertible for anything but
    a Llama-style model with a byte-level BPE tokenizer.
    """
    reader = GGUFReader(str(source))
    _expect(reader, "general.architecture", "llama")
    _expect(reader, "tokenizer.ggml.model", "gpt2")
    tensors: dict[str, NDArray[Any]] = {}
    for done, tensor in enumerate(reader.tensors):
        progress(done, len(reader.tensors), "converting")
        weights = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        weights = weights.reshape(tensor.shape[::-1].tolist())
        tensors[_name(tensor.name)] = np.ascontiguousarray(
            _in_order(weights, tensor.name, reader), dtype=np.float16 if half else np.float32
        )
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    tied = "lm_head.weight" not in tensors
    _write(target / "config.json", _config(reader, tied=tied, half=half))
    _tokenizer(reader).save(str(target / "tokenizer.json"))
    _write(target / "tokenizer_config.json", _tokenizer_config(reader))
    _write(
        target / "generation_config.json",
        {k: v for k, v in _special_ids(reader).items() if v is not None},
    )
    progress(len(reader.tensors), len(reader.tensors), "converting")


def _value(reader: GGUFReader, key: str, otherwise: Any = None) -> Any:
    field = reader.fields.get(key)
    return otherwise if field is None else field.contents()


def _expect(reader: GGUFReader, key: str, value: str) -> None:
    found = _value(reader, key)
    if found != value:
        raise NotConvertible(
            f"{key} is {found!r}, only {value!r} can be converted; "
            "name the model's safetensors by hf: or path: instead"
        )


def _name(name: str) -> str:
    if name in OUTER:
        return OUTER[name]
    layer, _, rest = name.removeprefix("blk.").partition(".")
    part, _, suffix = rest.partition(".")
    if part not in TENSORS:
        raise NotConvertible(f"tensor {name!r} is not part of a Llama-style model")
    return f"model.layers.{layer}.{TENSORS[part]}.{suffix}"


def _in_order(weights: NDArray[Any], name: str, reader: GGUFReader) -> NDArray[Any]:
    """GGUF interleaves the two halves of each rotated head in the rows of q and k; put them
    back one behind the other."""
    if ".attn_q." in name:
        heads = _value(reader, "llama.attention.head_count")
    elif ".attn_k." in name:
        heads = _value(reader, "llama.attention.head_count_kv")
    else:
        return weights
    rows, *rest = weights.shape
    pairs = weights.reshape(heads, rows // heads // 2, 2, *rest)
    return pairs.swapaxes(1, 2).reshape(weights.shape)


def _special_ids(reader: GGUFReader) -> dict[str, int | None]:
    return {
        "bos_token_id": _value(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": _value(reader, "tokenizer.ggml.eos_token_id"),
        "pad_token_id": _value(reader, "tokenizer.ggml.padding_token_id"),
    }


def _config(reader: GGUFReader, *, tied: bool, half: bool) -> dict[str, Any]:
    heads = _value(reader, "llama.attention.head_count")
    width = _value(reader, "llama.embedding_length")
    theta = float(_value(reader, "llama.rope.freq_base", 10_000.0))
    dtype = "float16" if half else "float32"
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": width,
        "intermediate_size": _value(reader, "llama.feed_forward_length"),
        "num_hidden_layers": _value(reader, "llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": _value(reader, "llama.attention.head_count_kv", heads),
        "head_dim": _value(reader, "llama.rope.dimension_count", width // heads),
        "max_position_embeddings": _value(reader, "llama.context_length"),
        "rms_norm_eps": float(_value(reader, "llama.attention.layer_norm_rms_epsilon")),
        # transformers 4 reads rope_theta and silently takes 10000 without it; 5 reads the other.
        "rope_theta": theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": tied,
        "vocab_size": len(_value(reader, "tokenizer.ggml.tokens")),
        "torch_dtype": dtype,
        "dtype": dtype,
        **_special_ids(reader),
    }


def _tokenizer(reader: GGUFReader) -> Tokenizer:
    tokens = _value(reader, "tokenizer.ggml.tokens")
    merges = [tuple(pair.split(" ", 1)) for pair in _value(reader, "tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(_pre_tokenizers(reader))
    tokenizer.decoder = decoders.ByteLevel()
    types = _value(reader, "tokenizer.ggml.token_type")
    tokenizer.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, types, strict=True)
            if kind == SPECIAL
        ]
    )
    return tokenizer


def _pre_tokenizers(reader: GGUFReader) -> list[pre_tokenizers.PreTokenizer]:
    """How a text is cut before the merges apply; GGUF only names it."""
    kind = _value(reader, "tokenizer.ggml.pre", "default")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if kind == "smollm":
        return [pre_tokenizers.Digits(individual_digits=True), level]
    if kind in ("default", "gpt-2"):
        return [level]
    raise NotConvertible(f"tokenizer.ggml.pre {kind!r} is not known; known: default, gpt-2, smollm")


def _tokenizer_config(reader: GGUFReader) -> dict[str, Any]:
    tokens = _value(reader, "tokenizer.ggml.tokens")
    special = {
        name.removesuffix("_id"): tokens[index]
        for name, index in _special_ids(reader).items()
        if index is not None
    }
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": _value(reader, "llama.context_length"),
        "clean_up_tokenization_spaces": False,
        "chat_template": _value(reader, "tokenizer.chat_template"),
        **special,
    }


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")
