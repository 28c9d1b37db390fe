"""How many answers survive compression: real prompts with known answers, set by set.

    python tests/bench/retention.py --data DIR --compressor extractive --rates 0.5,0.25,0.1

Documents are compressed to the rate of their own tokens; a row counts if one of its answers is
still in them, letter case aside. Rows with an even index were used for tuning, those with an odd
index were not. `head` keeps the beginning, `random` random sentences, both to the same budget.
`inside` lets in LET_IN times the budget as `auto` does, and drops words of that by the classifier.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from prompts import sets

from unabridged.compression.auto import auto
from unabridged.compression.cached_scorer import CachedScorer
from unabridged.compression.causal_lm import CausalScorer
from unabridged.compression.classifier import Classifier
from unabridged.compression.compress import compress
from unabridged.compression.encoder import Encoder
from unabridged.compression.extractive import _words, units_of
from unabridged.compression.job import Count, Cut, Job
from unabridged.compression.kept import compose, extract
from unabridged.compression.llmlingua2 import llmlingua2
from unabridged.compression.plan import Grant, Plan
from unabridged.compression.prompt import Prompt, Segment, Where
from unabridged.compression.scorer import Scorer
from unabridged.compression.select import Selection, spans_of
from unabridged.compression.tokens import counter
from unabridged.policies.policy import Policy
from unabridged.proxy.installed import installed_classifier, installed_encoder
from unabridged.proxy.shelf import MemoryShelf

LET_IN = 1.5
"""Times the budget that `inside` lets in before it drops words."""
SETS = ("nq20", "nq10", "hotpotqa", "squad2", "xquad", "cmrc_zh", "qmsum_windows")


def prompt_of(row: dict[str, Any], blind: bool) -> Prompt:
    """Documents as `Document [n](Title: ...) text`, then the question (not if `blind`)."""
    segments: list[Segment] = []
    at = 0
    for n, document in enumerate(row["documents"], 1):
        head = f"Document [{n}](Title: {document['title']}) "
        text = f"{head}{document['text']}\n"
        where = Where(path=("messages", 0, "content"), start=at)
        segments.append(Segment(kind="document", text=text, where=where, head=len(head), tail=1))
        at += len(text)
    where = Where(path=("messages", 0, "content"), start=at)
    question = "" if blind else row["question"]
    segments.append(Segment(kind="question", text=question, where=where))
    return Prompt(body="", segments=tuple(segments))


def head(name: str, job: Job) -> Cut:
    """The beginning of the documents."""
    return _in_order(job, units_of(job.segments, ()))


def at_random(name: str, job: Job) -> Cut:
    """Sentences drawn with a fixed seed."""
    units = list(units_of(job.segments, ()))
    random.Random(7).shuffle(units)
    return _in_order(job, units)


def inside(name: str, job: Job) -> Cut:
    """The best sentences, and in them the likeliest words."""
    first = auto(replace(job, tokens=round(LET_IN * job.tokens)))
    texts = [extract(s.text, kept) for s, kept in zip(job.segments, first.kept, strict=True)]
    if sum(map(job.count, texts)) <= job.tokens:
        return first
    left = tuple(
        replace(s, text=text) if text else replace(s, text="", head=0, tail=0)
        for s, text in zip(job.segments, texts, strict=True)
    )
    words = job.policy.words.model_copy(update={"by_question": None})
    policy = job.policy.model_copy(update={"words": words})
    cut = llmlingua2(replace(job, segments=left, policy=policy))
    kept = tuple(compose(a, b) for a, b in zip(first.kept, cut.kept, strict=True))
    return Cut(kept=kept, why=cut.why)


def _in_order(job: Job, units: list[Any]) -> Cut:
    selection = Selection(segments=job.segments, count=job.count)
    chosen = selection.choose(units, job.tokens, split=lambda unit: _words(job, unit))
    return Cut(kept=spans_of(job.segments, chosen), why=("",) * len(job.segments))


BASELINES: dict[str, Callable[[str, Job], Cut]] = {
    "head": head,
    "random": at_random,
    "inside": inside,
}


def survives(row: dict[str, Any], text: str) -> bool:
    folded = text.casefold()
    return any(answer.casefold() in folded for answer in row["answers"])


def gold_words(row: dict[str, Any], text: str) -> bool:
    """For meetings, whose answers are summaries: half of the answer's long words are there."""
    wanted = {w for a in row["answers"] for w in re.findall(r"\w{6,}", a.casefold())}
    folded = text.casefold()
    return sum(word in folded for word in wanted) * 2 >= max(len(wanted), 1)


def measure(
    rows: list[dict[str, Any]],
    name: str,
    rate: float,
    count: Count,
    folded: bool,
    blind: bool = False,
    encoder: Callable[[], Encoder | None] = lambda: None,
    classifier: Callable[[], Classifier | None] = lambda: None,
    judge: Callable[[], Scorer] | None = None,
) -> Iterator[tuple[bool, int, int, float]]:
    """For each row: does the answer survive, tokens asked, tokens got, milliseconds."""
    for row in rows:
        prompt = prompt_of(row, blind)
        policy = Policy(
            compressor="auto" if name in BASELINES else name,
            min_saving=0,
            judge="always" if judge else "never",
        )
        counts = tuple(count(s.text) for s in prompt.segments)
        documents = tuple(range(len(prompt.segments) - 1))
        before = sum(counts[i] for i in documents)
        asked = int(rate * before)
        grant = Grant(
            turn=0, kind="document", segments=documents, before=before, tokens=asked, why=""
        )
        plan = Plan(grants=(grant,), counts=counts, asked=None)
        start = time.perf_counter()
        extra: dict[str, Any] = {"encoder": encoder, "classifier": classifier, "scorer": judge}
        if name in BASELINES:
            extra["run"] = BASELINES[name]
        done = compress(prompt, plan, policy, count, **extra)
        spent = (time.perf_counter() - start) * 1000
        text = "".join(done.text(i) for i in documents)
        kept = gold_words(row, text) if folded else survives(row, text)
        yield kept, asked, sum(done.tokens_after[i] for i in documents), spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with prompts/*.jsonl")
    parser.add_argument("--compressor", default="extractive,head,random")
    parser.add_argument("--rates", default="0.5,0.25,0.1")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--encoder", help="weights that auto ranks with, such as path:DIR")
    parser.add_argument("--judge", type=Path, help="causal weights that judge auto's candidates")
    parser.add_argument("--limit", type=int, default=None, help="rows of each set")
    parser.add_argument("--blind", action="store_true", help="do not show the question")
    options = parser.parse_args()
    count = counter("gpt-4o")
    encoder = installed_encoder(options.encoder)
    classifier = installed_classifier("embedded")
    judge = None
    if options.judge:
        scorer = CachedScorer(CausalScorer(options.judge), MemoryShelf(most_bytes=2**30))
        judge = lambda: scorer  # noqa: E731
    if (loaded := encoder()) is not None:
        loaded.passages(["A text to warm up with."] * 8, [()] * 8)
    print("| set | rows | rate | compressor | all | even | odd | asked | got | ms |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, whole in sets(options.data, options.sets):
        rows = whole[: options.limit]
        for rate in map(float, options.rates.split(",")):
            for compressor in options.compressor.split(","):
                found = list(
                    measure(
                        rows,
                        compressor,
                        rate,
                        count,
                        name == "qmsum_windows",
                        options.blind,
                        encoder,
                        classifier if compressor == "inside" else lambda: None,
                        judge if compressor == "auto" else None,
                    )
                )
                kept = [float(f[0]) for f in found]
                print(
                    f"| {name} | {len(rows)} | {rate:g} | {compressor} "
                    f"| {statistics.mean(kept):.2f} | {statistics.mean(kept[::2]):.2f} "
                    f"| {statistics.mean(kept[1::2]):.2f} "
                    f"| {statistics.median(f[1] for f in found):.0f} "
                    f"| {statistics.median(f[2] for f in found):.0f} "
                    f"| {statistics.median(f[3] for f in found):.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
