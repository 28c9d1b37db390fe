"""Tuning the causal scorer makes the target model's words less of a surprise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from unabridged.compression.causal_lm import CausalScorer
from unabridged.compression.fit_scorer import Alignment, Answered, fit, row

PAIRS = [
    Answered(prompt=f"When did tide {i} come?", answer="The tide came in the winter of 1947.")
    for i in range(40)
]
QUICK = Alignment(rank=4, epochs=3, learning_rate=1e-2, batch=8, window=64, threads=1)


def test_held_out_answers_surprise_less_afterwards(tiny_causal_lm: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = fit(PAIRS, tiny_causal_lm, out, QUICK, base_source="path:tiny", quiet=True)
    assert done.perplexity < 0.8 * done.perplexity_before
    said = json.loads((out / "training.json").read_text())
    assert said["held_out_perplexity"]["after"] == done.perplexity
    before = CausalScorer(tiny_causal_lm, threads=1).score([PAIRS[0].answer])[0].scores.mean()
    after = CausalScorer(out, threads=1).score([PAIRS[0].answer])[0].scores.mean()
    assert after < before


def test_only_the_answer_is_learned(tiny_causal_lm: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_causal_lm)
    made = row(tokenizer, PAIRS[0], 40)
    answer = tokenizer(PAIRS[0].answer, add_special_tokens=False)["input_ids"]
    assert len(made["input_ids"]) <= 40
    assert [label for label in made["labels"] if label != -100] == answer[:39]


def test_one_answer_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 answers"):
        fit(PAIRS[:1], tmp_path, tmp_path, replace(QUICK), base_source="x")
