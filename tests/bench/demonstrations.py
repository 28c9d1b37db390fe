"""Whether worked examples stay whole: few-shot prompts cut to a fifth, compressor by compressor.

    python tests/bench/demonstrations.py --data DIR --rate 0.2

Each prompt is a chat body of instruction, demonstrations and question, found again by the splitter.
Printed for each compressor: rows with at least one demonstration left, demonstrations left whole
(but for idle white space) and in part, demonstrations left that have lost a number, tokens.
"""

from __future__ import annotations

import argparse
import json
import statistics
from functools import cache
from pathlib import Path
from typing import Any

import regex
from prompts import sets

from unabridged.compression.cached_classifier import CachedClassifier
from unabridged.compression.cached_encoder import CachedEncoder
from unabridged.compression.cached_scorer import CachedScorer
from unabridged.compression.compress import compress
from unabridged.compression.plan import allot
from unabridged.compression.split import split
from unabridged.compression.tokens import counter
from unabridged.policies.policy import Policy
from unabridged.proxy.installed import installed, installed_classifier, installed_encoder
from unabridged.proxy.shelf import MemoryShelf

NUMBER = regex.compile(r"\d+(?:[.,]\d+)*")


def body_of(row: dict[str, Any]) -> str:
    """The row as one user message behind a system message."""
    shots = "\n\n".join(row["demonstrations"])
    messages = [
        {"role": "system", "content": row["instruction"] or "Answer."},
        {"role": "user", "content": f"{shots}\n\n{row['question']}"},
    ]
    return json.dumps({"model": "gpt-4o", "messages": messages})


def measure(
    row: dict[str, Any], policy: Policy, count: Any, models: dict[str, Any]
) -> dict[str, int]:
    """What is left of one row's demonstrations."""
    prompt = split(body_of(row), policy)
    plan = allot(prompt, policy, count)
    done = compress(prompt, plan, policy, count, **models)
    found = {"whole": 0, "part": 0, "numbers": 0, "asked": plan.asked or 0}
    found["left"] = sum(done.tokens_after)
    for i, segment in enumerate(prompt.segments):
        if segment.kind != "demonstration" or not done.kept[i]:
            continue
        found["whole" if done.text(i).split() == segment.text.split() else "part"] += 1
        found["numbers"] += NUMBER.findall(done.text(i)) != NUMBER.findall(segment.text)
    return found


def models_at_hand() -> dict[str, Any]:
    """The default models, remembering what they made of each text."""
    shelf = MemoryShelf(most_bytes=2**30)
    load, judge = installed(Policy().scorer), installed_classifier(Policy().classifier)
    scorer, encoder = cache(load) if load else None, installed_encoder(Policy().encoder)

    def judging() -> Any:
        ready = judge()
        return None if ready is None else CachedClassifier(ready, shelf)

    def reading() -> Any:
        ready = encoder()
        return None if ready is None else CachedEncoder(ready, shelf)

    return {
        "scorer": None if scorer is None else lambda: CachedScorer(scorer(), shelf),
        "encoder": reading,
        "classifier": judging,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with prompts/*.jsonl")
    parser.add_argument("--compressors", default="llmlingua,longllmlingua,auto")
    parser.add_argument("--rate", type=float, default=0.2)
    parser.add_argument("--sets", default="gsm8k_8shot")
    parser.add_argument("--limit", type=int, default=None, help="rows of each set")
    options = parser.parse_args()
    count, models = counter("gpt-4o"), models_at_hand()
    print("| set | rows | compressor | with a demonstration | whole | in part | a number lost "
          "| asked | left |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for name, whole in sets(options.data, options.sets):
        rows = whole[: options.limit]
        for compressor in options.compressors.split(","):
            policy = Policy(compressor=compressor, rate=options.rate, min_saving=0)
            found = [measure(row, policy, count, models) for row in rows]
            some = sum(1 for each in found if each["whole"] + each["part"])
            sums = {key: sum(each[key] for each in found) for key in ("whole", "part", "numbers")}
            asked, left = (statistics.median(f[key] for f in found) for key in ("asked", "left"))
            print(
                f"| {name} | {len(rows)} | {compressor} | {some} | {sums['whole']} "
                f"| {sums['part']} | {sums['numbers']} | {asked:.0f} | {left:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
