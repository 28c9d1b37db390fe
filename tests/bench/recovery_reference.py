"""Restores what recovery.py --cases has written with llmlingua 0.2.2, for comparison.

    PYTHONPATH=. python tests/bench/recovery_reference.py CASES TOKENIZER_DIR [--most 40] [--speed]

Run it with a Python that has llmlingua 0.2.2, transformers 4.46, pydantic and rapidfuzz; its
recover() needs a tokenizer and no weights. `--speed` times both on a prompt of 10,000 tokens and
answers of 300 words instead, in turn, by CPU time: ours as PromptCompressor.recover has it for a
prompt that it compressed itself, and from the bare strings.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmlingua import PromptCompressor
from transformers import AutoTokenizer

from unabridged.compressed_prompts import CompressedPrompts
from unabridged.compression.prompt import Compressed, Prompt, Segment, Where
from unabridged.recovery.align import align
from unabridged.recovery.recover import recover
from unabridged.recovery.restore import restore


def speed(reference: PromptCompressor, prompts: list[dict[str, Any]]) -> None:
    """Print the medians of both, for answers of three kinds."""
    original = compressed = ""
    replies: list[str] = []
    parts: list[tuple[str, str]] = []
    for prompt in prompts:
        if len(reference.tokenizer(original).input_ids) < 10_000:
            parts.append((f"{prompt['original']}\n\n", f"{prompt['compressed']}\n\n"))
            original += parts[-1][0]
            compressed += parts[-1][1]
            replies += prompt["replies"]
    known = CompressedPrompts()
    known.add(compressed, cut(parts))
    sizes = [len(reference.tokenizer(text).input_ids) for text in (original, compressed)]
    print(f"{sizes[0]:,} tokens cut to {sizes[1]:,}")
    answers = {
        "the real replies": " ".join(" ".join(replies).split()[:300]),
        "a stretch of the compressed prompt": " ".join(compressed.split()[300:600]),
        "a stretch of the original": " ".join(original.split()[2000:2300]),
    }
    for name, answer in answers.items():
        ways = (
            lambda: reference.recover(original, compressed, answer),  # noqa: B023
            lambda: restore(answer, known.index(original, compressed)),  # noqa: B023
            lambda: recover(original, compressed, answer),  # noqa: B023
        )
        took: list[list[float]] = [[], [], []]
        for _ in range(9):
            for way, times in zip(ways, took, strict=True):
                began = time.process_time()
                way()
                times.append((time.process_time() - began) * 1000)
        theirs, ours, bare = map(statistics.median, took)
        print(
            f"| {name} | {len(answer.split())} | {theirs:.0f} ms | {ours:.2f} ms"
            f" ({theirs / ours:.0f} times) | {bare:.1f} ms ({theirs / bare:.1f} times) |",
            flush=True,
        )


def cut(parts: Sequence[tuple[str, str]]) -> Compressed:
    """A prompt of several documents as the one who compressed it knows it."""
    where = Where(path=(), start=0)
    return Compressed(
        prompt=Prompt(
            body="",
            segments=tuple(Segment(kind="document", text=text, where=where) for text, _ in parts),
        ),
        kept=tuple(align(*part) for part in parts),
        why=("",) * len(parts),
        tokens_before=(0,) * len(parts),
        tokens_after=(0,) * len(parts),
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("tokenizer")
    parser.add_argument("--most", type=int, default=40)
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    reference = PromptCompressor.__new__(PromptCompressor)
    reference.tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    dumped = json.loads(options.cases.read_text())
    if options.speed:
        speed(reference, dumped[-1]["prompts"])
        return
    for one in dumped:
        cases = [(p, c) for p in one["prompts"] for c in p["cases"]][: options.most]
        exact = outside = 0
        for prompt, case in cases:
            found = reference.recover(prompt["original"], prompt["compressed"], case["damaged"])
            start, end = case["at"]
            exact += found == case["reply"]
            before, behind = case["reply"][:start], case["reply"][end:]
            outside += not (found.startswith(before) and found.endswith(behind))
        replies = [(p, r) for p in one["prompts"] for r in p["replies"]][: options.most]
        edited = sum(reference.recover(p["original"], p["compressed"], r) != r for p, r in replies)
        print(
            f"| {one['name']} {1 / one['rate']:.0f}x | {exact} of {len(cases)} |"
            f" {outside} of {len(cases)} | {edited} of {len(replies)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
