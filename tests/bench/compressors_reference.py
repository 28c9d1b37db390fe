"""Compresses what compressors.py has chosen with llmlingua 0.2.2, for comparison.

    python tests/bench/compressors_reference.py JOBS MODEL OUT --method longllmlingua --rates 0.25

Run it with a Python that has llmlingua 0.2.2, transformers 4.46, accelerate, and litellm without
its dependencies, whose wheel holds the tokenizer that llmlingua would download otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PUBLISHED: dict[str, dict[str, Any]] = {
    "llmlingua": {},
    "longllmlingua": {
        "rank_method": "longllmlingua",
        "condition_in_question": "after_condition",
        "reorder_context": "sort",
        "dynamic_context_compression_ratio": 0.3,
        "condition_compare": True,
        "context_budget": "+100",
    },
}
"""The arguments of the published snippets."""


def question_of(job: Mapping[str, Any], method: str) -> str:
    """What is asked; LLMLingua is measured with nothing asked."""
    return "" if method == "llmlingua" else str(job["question"])


def main() -> None:
    """Write one JSON line for each row and rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", type=Path)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--method", choices=PUBLISHED, default="longllmlingua")
    parser.add_argument("--rates", default="0.5,0.25,0.1")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    tables = Path(sys.prefix).glob(
        "lib/python3*/site-packages/litellm/litellm_core_utils/tokenizers"
    )
    os.environ["TIKTOKEN_CACHE_DIR"] = str(next(tables))
    import torch
    from llmlingua import PromptCompressor

    torch.set_num_threads(options.threads)
    compressor = PromptCompressor(options.model, device_map="cpu")
    forwarded: list[int] = []
    forward = compressor.model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        ids = args[0] if args else kwargs["input_ids"]
        forwarded.append(int(ids.numel()))
        return forward(*args, **kwargs)

    compressor.model.forward = counted
    with options.out.open("a", encoding="utf-8") as out:
        for rate in map(float, options.rates.split(",")):
            for job in json.loads(options.jobs.read_text("utf-8")):
                forwarded.clear()
                began, cpu = time.perf_counter(), time.process_time()
                done = compressor.compress_prompt(
                    job["contexts"],
                    instruction=job["instruction"],
                    question=question_of(job, options.method),
                    target_token=job["targets"][str(rate)],
                    **PUBLISHED[options.method],
                )
                line = {
                    "engine": "reference",
                    "method": options.method,
                    "set": job["set"],
                    "id": job["id"],
                    "rate": rate,
                    "text": done["compressed_prompt"],
                    "wall": time.perf_counter() - began,
                    "cpu": time.process_time() - cpu,
                    "forwarded": sum(forwarded),
                    "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                }
                out.write(json.dumps(line) + "\n")
                out.flush()


if __name__ == "__main__":
    main()
