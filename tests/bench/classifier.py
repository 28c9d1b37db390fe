"""How many answers survive when nobody knows the question: the classifier beside what it replaces.

    python tests/bench/classifier.py --data DIR --limit 30

Documents are cut to the rate of their own tokens without looking at the question; a row counts if
one of its answers is still in them (for meetings: half of the answer's long words). `words` and
`sentences` drop at random to the same budget. Rows with an even index were looked at while the
selection was tuned, those with an odd index were not, and none were trained on.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from prompts import sets
from retention import at_random, gold_words, prompt_of, survives

from unabridged.compression.cached_classifier import CachedClassifier
from unabridged.compression.cached_scorer import CachedScorer
from unabridged.compression.classifier import Classifier
from unabridged.compression.compress import compress
from unabridged.compression.job import Count, Cut, Job
from unabridged.compression.plan import Grant, Plan
from unabridged.compression.select import Selection, Unit, spans_of
from unabridged.compression.sentences import words
from unabridged.compression.tokens import counter
from unabridged.policies.policy import Policy, Words
from unabridged.proxy.installed import installed, installed_classifier
from unabridged.proxy.shelf import MemoryShelf

SETS = ("nq20", "hotpotqa", "qmsum_windows")
Run = Callable[[str, Job], Cut]


def words_at_random(name: str, job: Job) -> Cut:
    """Words drawn with a fixed seed."""
    units = [
        Unit(i, a, b) for i, s in enumerate(job.segments) for a, b in words(s.text, *s.content)
    ]
    random.Random(7).shuffle(units)
    chosen = Selection(segments=job.segments, count=job.count).choose(units, job.tokens)
    return Cut(kept=spans_of(job.segments, chosen), why=("",) * len(job.segments))


BASELINES: dict[str, Run] = {"words": words_at_random, "sentences": at_random}


def measure(
    row: dict[str, Any],
    name: str,
    rate: float,
    count: Count,
    models: dict[str, Any],
    wishes: Words,
    blind: bool,
) -> tuple[int, int, float, str]:
    """Tokens asked, tokens got, milliseconds, and what is left of the documents."""
    prompt = prompt_of(row, blind=blind)
    policy = Policy(compressor="auto" if name in BASELINES else name, min_saving=0, words=wishes)
    counts = tuple(count(s.text) for s in prompt.segments)
    documents = tuple(range(len(prompt.segments) - 1))
    before = sum(counts[i] for i in documents)
    asked = int(rate * before)
    grant = Grant(turn=0, kind="document", segments=documents, before=before, tokens=asked, why="")
    extra = {"run": BASELINES[name]} if name in BASELINES else models
    start = time.perf_counter()
    plan = Plan(grants=(grant,), counts=counts, asked=None)
    done = compress(prompt, plan, policy, count, **extra)
    spent = (time.perf_counter() - start) * 1000
    got = sum(done.tokens_after[i] for i in documents)
    return asked, got, spent, "".join(done.text(i) for i in documents)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with prompts/*.jsonl")
    parser.add_argument("--compressor", default="llmlingua2,words,sentences")
    parser.add_argument("--classifier", default="embedded", help="weights, such as path:DIR")
    parser.add_argument("--rates", default="0.5,0.3333")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--limit", type=int, default=None, help="rows of each set")
    parser.add_argument("--asked", choices=["bm25", "classifier"], help="show the question")
    options = parser.parse_args()
    count = counter("gpt-4o")
    store = MemoryShelf(most_bytes=2**30)
    load = installed_classifier(options.classifier)
    load_scorer = installed(Policy().scorer)
    scorer = cache(load_scorer) if load_scorer else None

    def remembering() -> Classifier | None:
        ready = load()
        return None if ready is None else CachedClassifier(ready, store)

    models: dict[str, Any] = {
        "classifier": remembering,
        "scorer": None if scorer is None else lambda: CachedScorer(scorer(), store),
    }
    wishes = Words(by_question=options.asked)
    print("| set | rows | rate | compressor | all | even | odd | asked | got | ms |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, whole in sets(options.data, options.sets):
        rows = whole[: options.limit]
        survived = gold_words if name == "qmsum_windows" else survives
        for compressor in options.compressor.split(","):
            for rate in map(float, options.rates.split(",")):
                found = [
                    measure(r, compressor, rate, count, models, wishes, options.asked is None)
                    for r in rows
                ]
                kept = [float(survived(r, f[3])) for r, f in zip(rows, found, strict=True)]
                even, odd = (statistics.mean(kept[i::2] or [0]) for i in (0, 1))
                print(
                    f"| {name} | {len(rows)} | {rate:.2g} | {compressor} "
                    f"| {statistics.mean(kept):.2f} | {even:.2f} | {odd:.2f} "
                    f"| {statistics.median(f[0] for f in found):.0f} "
                    f"| {statistics.median(f[1] for f in found):.0f} "
                    f"| {statistics.median(f[2] for f in found):.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
