"""Trains a token classifier on labelled texts: an adapter and a head on an encoder, or all of it.

The loop is transformers' Trainer, the adapter peft's; here stand the examples, the loss over words,
and what is written beside the weights.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from unabridged.compression.distil import Labelled
from unabridged.compression.kept import intersect
from unabridged.compression.sentences import sentences
from unabridged.compression.teachers import Asked
from unabridged.compression.token_classifier import ASKING

Example = Labelled | Asked
RECORD = "training.json"
"""Beside the weights: what made them."""
_IGNORED = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a classifier is trained."""

    method: Literal["lora", "full"] = "lora"
    rank: int = 16
    layers: int = 4
    """Last layers that get an adapter; 0: all of them."""
    epochs: float = 1.6
    learning_rate: float = 1.5e-3
    batch: int = 16
    weight: float = 8.0
    """What a word that stays counts for in the loss, one that goes counting 1. Of the answers' own
    words 2 in 100 stay."""
    crop: int = 65
    """Words of a text that are read at most, with a labelled one among them; 0: all of them."""
    held_out: float = 0.05
    """Share of the examples on which the loss is watched."""
    patience: int = 3
    """Looks at the held-out loss without a better one before training stops."""
    looks: int = 10
    """How often the held-out loss is looked at, and a checkpoint written."""
    seed: int = 7
    threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What training came to."""

    place: Path
    steps: int
    seconds: float
    loss_before: float
    """On the held-out examples, with the new head untrained."""
    loss: float
    """On the held-out examples, of the best checkpoint, which is what was kept."""


def fit(
    examples: Sequence[Example],
    base: Path,
    out: Path,
    recipe: Recipe,
    *,
    base_source: str,
    data: Sequence[str] = (),
    resume: bool = False,
    quiet: bool = False,
) -> Fitted:
    """Train on `examples` and write model, tokenizer and a record of the training into `out`.

    With examples that hold questions the model learns to read them. `resume` goes on from the
    last checkpoint in `out`. Raises ValueError without examples to train on.
    """
    from transformers import AutoTokenizer, EarlyStoppingCallback, Trainer, TrainingArguments

    if len(examples) < 2:
        raise ValueError(
            f"{len(examples)} examples are too few: one is trained on, one is held out"
        )
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    asking = isinstance(examples[0], Asked)
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    mixed = list(examples)
    random.Random(recipe.seed).shuffle(mixed)  # noqa: S311
    held = max(int(len(mixed) * recipe.held_out), 1)
    features = Features(tokenizer, recipe, ASKING if asking else ("keep",))
    model = _model(base, features.labels, recipe)
    every = max(int(recipe.epochs * (len(mixed) - held) / recipe.batch / recipe.looks), 1)
    arguments = TrainingArguments(
        output_dir=str(out / "checkpoints"),
        per_device_train_batch_size=recipe.batch,
        per_device_eval_batch_size=2 * recipe.batch,
        learning_rate=recipe.learning_rate,
        num_train_epochs=recipe.epochs,
        warmup_steps=0.1,
        weight_decay=0.01,
        seed=recipe.seed,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_steps=every,
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=True,
        report_to=[],
        disable_tqdm=quiet,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=features.of(mixed[held:]),
        eval_dataset=features.of(mixed[:held]),
        data_collator=features.batch,
        compute_loss_func=word_loss(recipe.weight),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=recipe.patience)],
    )
    before = float(trainer.evaluate()["eval_loss"])
    done = trainer.train(resume_from_checkpoint=resume and any((out / "checkpoints").glob("*-*")))
    fitted = Fitted(
        place=out,
        steps=int(done.global_step),
        seconds=round(float(done.metrics["train_runtime"]), 1),
        loss_before=round(before, 4),
        loss=round(float(trainer.evaluate()["eval_loss"]), 4),
    )
    _write(trainer.model, tokenizer, out, recipe, base_source)
    _record(fitted, recipe, base_source, len(examples), data, trainer.state.log_history, out)
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return fitted


class Features:
    """Turns examples into padded batches with a label for each token of a text."""

    def __init__(self, tokenizer: Any, recipe: Recipe, labels: tuple[str, ...]) -> None:
        self._tokenizer = tokenizer
        self._random = random.Random(recipe.seed)  # noqa: S311
        self._crop = recipe.crop
        self.labels = labels

    def of(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        """One row for each example that has a token."""
        return [row for example in examples if (row := self._row(example))["input_ids"]]

    def _row(self, example: Example) -> dict[str, Any]:
        start, end = cropped(example.text, example.kept, self._crop, self._random)
        text = example.text[start:end]
        kept = [(a - start, b - start) for a, b in example.kept]
        asked = isinstance(example, Asked)
        given = (example.question, text) if isinstance(example, Asked) else (text,)
        encoded = self._tokenizer(
            *given,
            truncation="only_second" if asked else True,
            max_length=min(512, self._tokenizer.model_max_length),
            return_offsets_mapping=True,
            return_token_type_ids=True,
        )
        labels = np.full((len(encoded["input_ids"]), len(self.labels)), _IGNORED, dtype=np.float32)
        answering = [s for s in sentences(text) if intersect([s], kept)] if asked else []
        for i, ((a, b), part) in enumerate(
            zip(encoded["offset_mapping"], encoded.sequence_ids(), strict=True)
        ):
            if part == len(given) - 1 and a < b:
                labels[i, 0] = float(any(a < y and b > x for x, y in kept))
                if asked:
                    labels[i, 1] = float(any(a < y and b > x for x, y in answering))
        if isinstance(example, Asked) and len(labels):
            labels[0, 2] = float(example.answers)
        return {
            "input_ids": encoded["input_ids"],
            "token_type_ids": encoded["token_type_ids"],
            "labels": labels,
        }

    def batch(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Rows padded to the longest of them."""
        width = max(len(row["input_ids"]) for row in rows)
        pad = self._tokenizer.pad_token_id or 0
        ids = torch.full((len(rows), width), pad, dtype=torch.long)
        types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
        labels = torch.full((len(rows), width, len(self.labels)), _IGNORED)
        for i, row in enumerate(rows):
            length = len(row["input_ids"])
            ids[i, :length] = torch.tensor(row["input_ids"])
            types[i, :length] = torch.tensor(row["token_type_ids"])
            mask[i, :length] = 1
            labels[i, :length] = torch.from_numpy(row["labels"])
        found = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        return {**found, "token_type_ids": types} if types.any() else found


def cropped(
    text: str, kept: Sequence[tuple[int, int]], words: int, chance: random.Random
) -> tuple[int, int]:
    """A stretch of a text of at most so many words, around one of the kept ones."""
    starts = [match.start() for match in re.finditer(r"\S+", text)]
    if not words or len(starts) <= words:
        return 0, len(text)
    around = chance.choice(kept)[0] if kept else chance.randrange(len(text))
    at = max(int(np.searchsorted(starts, around, side="right")) - 1, 0)
    first = min(max(at - chance.randrange(words), 0), len(starts) - words)
    return starts[first], starts[first + words] if first + words < len(starts) else len(text)


def word_loss(weight: float) -> Callable[..., torch.Tensor]:
    """Binary cross-entropy over the tokens that have a label, for each kind of label by itself."""

    def loss(outputs: Any, labels: torch.Tensor, **_: Any) -> torch.Tensor:
        logits = outputs.logits if hasattr(outputs, "logits") else outputs["logits"]
        known = labels >= 0
        weights = torch.ones(logits.shape[-1], device=logits.device)
        weights[0] = weight
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, labels.clamp(min=0), reduction="none", pos_weight=weights
        )
        counts = known.sum(dim=(0, 1)).clamp(min=1)
        return ((each * known).sum(dim=(0, 1)) / counts).sum()

    return loss


def _model(base: Path, labels: tuple[str, ...], recipe: Recipe) -> Any:
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import AutoModelForTokenClassification
    from transformers.utils import logging

    quiet: Any = logging
    quiet.set_verbosity_error()  # the head is new: that is the point
    model = AutoModelForTokenClassification.from_pretrained(
        base,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        ignore_mismatched_sizes=True,
        dtype=torch.float32,
        local_files_only=True,
    )
    if recipe.method == "full":
        return model
    count = model.config.num_hidden_layers
    first = max(count - recipe.layers, 0) if recipe.layers else 0
    heads = [name for name, _ in model.named_children() if name != model.base_model_prefix]
    return get_peft_model(
        model,
        LoraConfig(
            task_type=TaskType.TOKEN_CLS,
            r=recipe.rank,
            lora_alpha=2 * recipe.rank,
            lora_dropout=0.05,
            target_modules=adaptable(model, first),
            modules_to_save=[name for name in heads if name in ("classifier", "head", "score")],
        ),
    )


def adaptable(model: Any, first: int) -> list[str]:
    """Names of the linear layers inside the encoder's layers, from number `first` on."""
    found = []
    for name, module in model.named_modules():
        numbers = [int(part) for part in name.split(".") if part.isdigit()]
        if isinstance(module, torch.nn.Linear) and numbers and numbers[0] >= first:
            found.append(name)
    return found


def _write(model: Any, tokenizer: Any, out: Path, recipe: Recipe, base_source: str) -> None:
    """Weights in half precision, and config and tokenizer as the proxy loads them."""
    out.mkdir(parents=True, exist_ok=True)
    if recipe.method == "full":
        model.save_pretrained(out)
    else:
        for config in model.peft_config.values():
            config.base_model_name_or_path = base_source
        model.half().save_pretrained(out)
        (out / "README.md").unlink(missing_ok=True)
        config = model.get_base_model().config
        config.architectures = [type(model.get_base_model()).__name__]
        config.save_pretrained(out)
    tokenizer.save_pretrained(out)


def _record(
    fitted: Fitted,
    recipe: Recipe,
    base_source: str,
    examples: int,
    data: Sequence[str],
    log: Sequence[dict[str, Any]],
    out: Path,
) -> None:
    said = {
        "base": base_source,
        "data": list(data),
        "examples": examples,
        "recipe": asdict(recipe),
        "steps": fitted.steps,
        "seconds": fitted.seconds,
        "held_out_loss": {"before": fitted.loss_before, "after": fitted.loss},
        "log": [
            {k: round(float(v), 4) for k, v in each.items() if k in ("step", "loss", "eval_loss")}
            for each in log
            if "loss" in each or "eval_loss" in each
        ],
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
    }
    (out / RECORD).write_text(json.dumps(said, indent=1), encoding="utf-8")
