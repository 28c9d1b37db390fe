"""Asks a small model about shortened prompts, and counts right answers before and after recovery.

    python tests/bench/answers.py --data DIR [--compressor llmlingua2] [--rate 0.25] [--rows 20]

DIR holds prompts/*.jsonl. The model is the default scorer's, run here; an answer is right if a
gold answer stands in it (SQuAD's normalisation). What recovery changed is printed.
"""

from __future__ import annotations

import argparse
import json
import re
import string
from pathlib import Path
from typing import Any

from unabridged.abridge import compress_prompt
from unabridged.compression.generate import ChatModel
from unabridged.compression.tokens import counter, known_words
from unabridged.policies.policy import Policy
from unabridged.proxy.installed import installed, installed_classifier, installed_encoder
from unabridged.proxy.weights import Source, default_home, locate
from unabridged.recovery.index import Index
from unabridged.recovery.restore import restore

SETS = ("hotpotqa", "nq20")


def prompt_of(row: dict[str, Any]) -> str:
    """The prompt as one text, in the way of lost-in-the-middle."""
    documents = "\n\n".join(
        f"Document [{n}](Title: {d['title']}) {d['text']}"
        for n, d in enumerate(row["documents"], 1)
    )
    return f"{row['instruction']}\n\n{documents}\n\nQuestion: {row['question']}\nAnswer:"


def plain(text: str) -> str:
    """Lower case, without marks and articles (SQuAD's evaluation)."""
    bare = "".join(" " if char in string.punctuation else char for char in text.casefold())
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def right(answer: str, golds: list[str]) -> bool:
    """True if a gold answer stands in the answer."""
    return any(f" {plain(gold)} " in f" {plain(answer)} " for gold in golds)


def main() -> None:
    """Print a line for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--compressor", default="llmlingua2")
    parser.add_argument("--rate", type=float, default=0.25)
    parser.add_argument("--rows", type=int, default=20)
    options = parser.parse_args()
    policy = Policy()
    place = locate(Source.parse(policy.scorer), default_home())
    assert place is not None, "unabridged models pull"
    model, known = ChatModel(place), known_words()
    counter("gpt-4o")("")
    for name in SETS:
        lines = (options.data / "prompts" / f"{name}.jsonl").read_text().splitlines()[1::2]
        rows = sorted(map(json.loads, lines), key=lambda row: row["tokens_o200k"])
        before = after = edited = worse = 0
        for row in rows[: options.rows]:
            abridged = compress_prompt(
                prompt_of(row),
                question=row["question"],
                rate=options.rate,
                compressor=options.compressor,
                scorer=installed(policy.scorer),
                encoder=installed_encoder(policy.encoder),
                classifier=installed_classifier(policy.classifier),
            )
            said = "".join(model.reply([{"role": "user", "content": abridged.text}], max_tokens=40))
            restored = restore(said, Index.build(abridged.compressed, known=known))
            was, now = right(said, row["answers"]), right(restored.text, row["answers"])
            before, after, worse = before + was, after + now, worse + (was and not now)
            edited += bool(restored.edits)
            for edit in restored.edits:
                print(f"  {edit.was!r} -> {edit.now!r}", flush=True)
        print(
            f"| {name} | {len(rows[: options.rows])} | {before} | {after} | {edited} | {worse} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
