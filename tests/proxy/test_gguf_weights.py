"""A GGUF file that is converted is the model that was packed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from gguf_file import pack
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from unabridged.proxy.gguf_weights import NotConvertible, convert


def silent(done: int, total: int, what: str) -> None:
    return None


@pytest.fixture(scope="module")
def converted(tiny_causal_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("converted")
    pack(tiny_causal_lm, place / "model.gguf")
    convert(place / "model.gguf", place, silent)
    return place


def test_every_tensor_comes_back_in_its_place(tiny_causal_lm: Path, converted: Path) -> None:
    before = load_file(tiny_causal_lm / "model.safetensors")
    after = load_file(converted / "model.safetensors")
    assert set(after) == set(before)
    for name, weights in before.items():
        assert after[name].dtype == np.float32
        # Q8_0 keeps 127 steps of the largest of 32 neighbours.
        assert np.abs(after[name] - weights).max() <= np.abs(weights).max() / 127


def test_the_converted_model_scores_like_the_packed_one(
    tiny_causal_lm: Path, converted: Path
) -> None:
    from unabridged.compression.causal_lm import CausalScorer

    text = "The harbour master wrote 1947 tides 港."
    [before] = CausalScorer(tiny_causal_lm, threads=1).score([text])
    [after] = CausalScorer(converted, threads=1).score([text])
    assert np.array_equal(before.spans, after.spans)
    assert np.abs(before.scores - after.scores).max() < 0.2


@pytest.mark.parametrize(
    "text", ["a  12", "1947\n\n 3", "등대 👩‍👩‍👧", "x\r\n\ty", "<|im_end|>", " "]
)
def test_the_tokenizer_cuts_as_before(tiny_causal_lm: Path, converted: Path, text: str) -> None:
    before, after = (
        Tokenizer.from_file(str(place / "tokenizer.json")) for place in (tiny_causal_lm, converted)
    )
    assert after.encode(text).ids == before.encode(text).ids
    assert after.encode(text).offsets == before.encode(text).offsets
    assert after.decode(after.encode(text).ids, skip_special_tokens=False) == text


def test_the_configuration_reads_right_in_every_transformers(converted: Path) -> None:
    from transformers import AutoConfig

    written = json.loads((converted / "config.json").read_text())
    assert written["rope_theta"] == written["rope_parameters"]["rope_theta"] == 5000.0
    read = AutoConfig.from_pretrained(converted)
    assert read.rope_parameters["rope_theta"] == 5000.0
    assert (read.bos_token_id, read.eos_token_id, read.pad_token_id) == (1, 2, 0)
    assert read.tie_word_embeddings


def test_the_chat_template_and_the_special_tokens_come_along(converted: Path) -> None:
    said = json.loads((converted / "tokenizer_config.json").read_text())
    assert said["chat_template"] == "{{ messages[0]['content'] }}"
    assert said["eos_token"] == "<|im_end|>"


def test_another_architecture_is_refused_by_name(tiny_causal_lm: Path, tmp_path: Path) -> None:
    pack(tiny_causal_lm, tmp_path / "model.gguf", architecture="mamba")
    with pytest.raises(NotConvertible, match="'mamba', only 'llama'"):
        convert(tmp_path / "model.gguf", tmp_path, silent)


def test_converting_imports_no_torch() -> None:
    said = "import sys, unabridged.proxy.weights; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
