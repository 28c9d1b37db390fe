"""Restores what recovery.py --cases has written with llmlingua 0.2.2, for comparison.

    python tests/bench/recovery_reference.py CASES TOKENIZER_DIR [--most 40]

Run it with a Python that has llmlingua 0.2.2 and transformers 4.46; its recover() needs a
tokenizer and no weights. Times a 10,000-token prompt and a 300-word answer first.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from llmlingua import PromptCompressor
from transformers import AutoTokenizer


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("tokenizer")
    parser.add_argument("--most", type=int, default=40)
    options = parser.parse_args()
    reference = PromptCompressor.__new__(PromptCompressor)
    reference.tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    dumped = json.loads(options.cases.read_text())
    prompts = dumped[0]["prompts"]
    original, compressed = ("", "")
    for prompt in prompts:
        if len(reference.tokenizer(original).input_ids) < 10_000:
            original += prompt["original"] + "\n\n"
            compressed += prompt["compressed"] + "\n\n"
    answer = " ".join(original.split()[2000:2300])
    began = time.perf_counter()
    reference.recover(original, compressed, answer)
    print(f"10,000 tokens, 300 words: {time.perf_counter() - began:.2f} s")
    Path("speed_case.json").write_text(json.dumps([original, compressed, answer]))
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
