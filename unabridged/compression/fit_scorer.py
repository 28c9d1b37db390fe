"""Tunes the causal scorer on what the target model writes, so that both are surprised by the same.

Distribution alignment (LLMLingua, section 4.3: instruction tuning of the small model on the target
model's outputs). The loop is transformers' Trainer, the adapter peft's, merged at the end.
"""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from unabridged.compression.fit_classifier import RECORD, adaptable

_IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the target model was asked, and what it said."""

    prompt: str
    """May be empty."""
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """How the scorer is tuned."""

    rank: int = 8
    epochs: float = 1.0
    learning_rate: float = 3e-4
    batch: int = 4
    window: int = 512
    held_out: float = 0.1
    seed: int = 7
    threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned:
    """What tuning came to."""

    place: Path
    steps: int
    perplexity_before: float
    """Of answers that were not trained on."""
    perplexity: float


def fit(
    pairs: Sequence[Answered],
    base: Path,
    out: Path,
    how: Alignment,
    *,
    base_source: str,
    quiet: bool = False,
) -> Aligned:
    """Tune the model of `base` and write it, whole, into `out`. Raises ValueError with fewer than
    two answers."""
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

    if len(pairs) < 2:
        raise ValueError(f"{len(pairs)} answers are too few: one is trained on, one is held out")
    if how.threads:
        torch.set_num_threads(how.threads)
    torch.manual_seed(how.seed)
    mixed = list(pairs)
    random.Random(how.seed).shuffle(mixed)  # noqa: S311
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    rows = [row(tokenizer, pair, how.window) for pair in mixed]
    held = max(int(len(rows) * how.held_out), 1)
    model: Any = AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.float32, local_files_only=True
    )
    model = get_peft_model(
        model,
        LoraConfig(
            task_type=TaskType.CAUSAL_LM,
            r=how.rank,
            lora_alpha=2 * how.rank,
            target_modules=adaptable(model, 0),
        ),
    )
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(out / "checkpoints"),
            per_device_train_batch_size=how.batch,
            per_device_eval_batch_size=how.batch,
            learning_rate=how.learning_rate,
            num_train_epochs=how.epochs,
            warmup_steps=0.1,
            seed=how.seed,
            save_strategy="no",
            use_cpu=not torch.cuda.is_available(),
            remove_unused_columns=False,
            report_to=[],
            disable_tqdm=quiet,
        ),
        train_dataset=rows[held:],
        data_collator=lambda batch: padded(batch, tokenizer.pad_token_id or 0),
    )
    before = perplexity(model, rows[:held])
    steps = int(trainer.train().global_step)
    aligned = Aligned(
        place=out,
        steps=steps,
        perplexity_before=round(before, 3),
        perplexity=round(perplexity(trainer.model, rows[:held]), 3),
    )
    out.mkdir(parents=True, exist_ok=True)
    tuned: Any = trainer.model
    tuned.merge_and_unload().save_pretrained(out)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (base / name).is_file():
            shutil.copyfile(base / name, out / name)
    said = {
        "base": base_source,
        "answers": len(pairs),
        "recipe": asdict(how),
        "steps": steps,
        "held_out_perplexity": {"before": aligned.perplexity_before, "after": aligned.perplexity},
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
    }
    (out / RECORD).write_text(json.dumps(said, indent=1), encoding="utf-8")
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return aligned


def row(tokenizer: Any, pair: Answered, window: int) -> dict[str, list[int]]:
    """Token ids, and labels for those of the answer: the prompt only stands before it."""
    before = tokenizer(pair.prompt, add_special_tokens=False)["input_ids"] if pair.prompt else []
    answer = tokenizer(pair.answer, add_special_tokens=False)["input_ids"][: window - 1]
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else 0
    lead = [start, *before[max(len(before) - (window - 1 - len(answer)), 0) :]]
    return {"input_ids": [*lead, *answer], "labels": [_IGNORED] * len(lead) + answer}


def padded(batch: Sequence[dict[str, list[int]]], pad: int) -> dict[str, torch.Tensor]:
    """Rows padded to the longest of them."""
    width = max(len(each["input_ids"]) for each in batch)

    def filled(name: str, value: int) -> torch.Tensor:
        return torch.tensor([each[name] + [value] * (width - len(each[name])) for each in batch])

    ids = filled("input_ids", pad)
    lengths = torch.tensor([len(each["input_ids"]) for each in batch])
    mask = (torch.arange(width) < lengths[:, None]).long()
    return {"input_ids": ids, "attention_mask": mask, "labels": filled("labels", _IGNORED)}


@torch.inference_mode()
def perplexity(model: Any, rows: Iterable[dict[str, list[int]]]) -> float:
    """Of the labelled tokens of all rows together."""
    model.train(False)
    total, count = 0.0, 0
    for each in rows:
        labels = torch.tensor(each["labels"])
        tokens = int((labels != _IGNORED).sum())
        found = model(input_ids=torch.tensor([each["input_ids"]]), labels=labels[None])
        total, count = total + float(found.loss) * tokens, count + tokens
    return math.exp(total / max(count, 1))
