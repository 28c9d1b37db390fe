"""The causal scorer in int8 and compiled: how fast, and does it still rank tokens alike.

    python tests/bench/precision.py --data DIR --model DIR

Documents of nq20 are scored by the same weights in each form, in turn. Printed: tokens a second,
the rank correlation (Spearman) of the tokens' scores with those in fp32, the mean difference in
nats, and how many of the most surprising quarter of the tokens are the same.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from prompts import sets
from torch.ao.quantization import (
    default_dynamic_qconfig,
    per_channel_dynamic_qconfig,
    quantize_dynamic,
)

from unabridged.compression.causal_lm import CausalScorer

Scores = NDArray[np.float64]


def int8(config: Any, spared: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    """Linear layers with weights in int8, but for those whose name ends in one of `spared`."""

    def made(model: Any) -> Any:
        named = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
        chosen = {n: config for n in named if not n.endswith(spared or ("\0",))}
        return quantize_dynamic(model, chosen, dtype=torch.qint8)

    return made


FORMS: dict[str, Callable[[Any], Any]] = {
    "fp32": lambda model: model,
    "int8, a scale for each tensor": int8(default_dynamic_qconfig),
    "int8, a scale for each channel": int8(per_channel_dynamic_qconfig),
    "the same but for down_proj and head": int8(
        per_channel_dynamic_qconfig, ("down_proj", "lm_head")
    ),
    "compiled": lambda model: compiled(model),
}


def compiled(model: Any) -> Any:
    """The decoder as a compiled graph."""
    model.model = torch.compile(model.model, dynamic=True)
    return model


def rank_correlation(a: Scores, b: Scores) -> float:
    """Spearman's, ties by position."""
    ranks = [np.argsort(np.argsort(x, kind="stable")) for x in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with prompts/*.jsonl")
    parser.add_argument("--model", type=Path, required=True, help="directory of causal weights")
    parser.add_argument("--documents", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    [(_, rows)] = sets(options.data, "nq20")
    texts = [d["text"] for row in rows[1::2] for d in row["documents"]][: options.documents]
    scorers = {}
    for name, form in FORMS.items():
        scorer = CausalScorer(options.model)
        scorer._model = form(scorer._model)
        began = time.perf_counter()
        scorer.score(texts[:4])
        scorers[name] = scorer, time.perf_counter() - began
    took: dict[str, list[float]] = {name: [] for name in FORMS}
    found: dict[str, Scores] = {}
    for _ in range(options.rounds):
        for name, (scorer, _) in scorers.items():
            began = time.perf_counter()
            scored = scorer.score(texts)
            took[name].append(time.perf_counter() - began)
            found[name] = np.concatenate([each.scores for each in scored]).astype(float)
    plain = found["fp32"]
    most = len(plain) // 4
    top = set(np.argsort(-plain, kind="stable")[:most].tolist())
    print("| form | first call s | tokens/s | rank correlation | nats apart | same quarter |")
    print("|---|---|---|---|---|---|")
    for name, scores in found.items():
        same = len(top & set(np.argsort(-scores, kind="stable")[:most].tolist())) / most
        print(
            f"| {name} | {scorers[name][1]:.1f} | {len(plain) / statistics.median(took[name]):.0f} "
            f"| {rank_correlation(plain, scores):.3f} | {np.abs(plain - scores).mean():.3f} "
            f"| {same:.2f} |"
        )


if __name__ == "__main__":
    main()
