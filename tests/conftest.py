"""A causal model small enough to be made in a test."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# What tests of one part stand on lies beside them.
sys.path.append(str(Path(__file__).parent / "compression"))

# A busy machine is no bug: how long an example takes is the benchmarks' business.
settings.register_profile("unabridged", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unabridged")

MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXTS = [
    "The harbour master wrote the tides of every month into a book with a green cover.",
    "Nobody in the town had seen the lighthouse dark since the winter of 1947.",
    "등대지기는 매일 저녁 등불을 켰다. 港の人々は船を待っていた。",
]


@pytest.fixture(scope="session")
def tiny_causal_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a Llama-style model of random weights, as transformers reads it: a byte-level
    BPE tokenizer, a chat template, a window of 256 tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM

    place = tmp_path_factory.mktemp("tiny-causal-lm")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=MARKS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.save(str(place / "tokenizer.json"))
    said = {"chat_template": TEMPLATE, "bos_token": MARKS[1], "eos_token": MARKS[2]}
    (place / "tokenizer_config.json").write_text(json.dumps(said))
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(place)
    return place
