"""How fast the classifier is: its own pass, and whole requests through the proxy.

    python tests/bench/classifier_speed.py --data DIR

Tokens a second of the English classifier over passages, then prompts of 2.2k to 2.6k tokens sent
to a proxy over real sockets: each once (cold) and once more (cached). What is timed is what the
client waits, of which the upstream takes next to nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "proxy"))

from fake_upstream import FakeUpstream, completion

from unabridged.compression.tokens import counter
from unabridged.proxy.installed import installed_classifier
from unabridged.proxy.weights import default_home

CONFIG = """
upstreams: {{default: {{url: '{url}'}}}}
routes: [{{policy: fast}}]
policies:
  fast: {{compressor: llmlingua2, rate: 0.5, deadline_ms: 20000, recovery: "off"}}
server: {{port: 0}}
"""


def rows_of(data: Path) -> list[dict[str, Any]]:
    lines = (data / "prompts" / "nq20.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def pass_alone(rows: list[dict[str, Any]]) -> float:
    """Tokens a second, in the upstream's own tokens; the best of three rounds."""
    classifier = installed_classifier("embedded")()
    assert classifier is not None
    texts = [d["text"] for row in rows[:3] for d in row["documents"]]
    count = counter("gpt-4o")
    tokens = sum(map(count, texts))
    classifier.judge(texts[:8])
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        classifier.judge(texts)
        spent.append(time.perf_counter() - start)
    return tokens / min(spent)


def through_the_proxy(rows: list[dict[str, Any]], prompts: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each prompt's first and second request."""
    with FakeUpstream() as upstream, tempfile.TemporaryDirectory() as folder:
        upstream.reply(*[completion("Yes.")] * (2 * prompts + 2))
        config = Path(folder) / "fast.yaml"
        config.write_text(CONFIG.format(url=upstream.url))
        (Path(folder) / "models").symlink_to(default_home())
        process = subprocess.Popen(
            [sys.executable, "-m", "unabridged", "serve", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "UNABRIDGED_HOME": folder, "REDIS_URL": ""},
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[1]
            wait_ready(url)
            chosen = [row for row in rows if 2200 <= row["tokens_o200k"] <= 2600][: prompts + 1]
            ask(url, chosen[0])
            cold = [ask(url, row) for row in chosen[1:]]
            return cold, [ask(url, row) for row in chosen[1:]]
        finally:
            process.terminate()
            process.wait()


def wait_ready(url: str) -> None:
    """Until the models are loaded."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url.removesuffix("/v1") + "/readyz") as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise TimeoutError("the proxy was not ready within two minutes")


def ask(url: str, row: dict[str, Any]) -> float:
    """Send a prompt; milliseconds until the answer was there. Fails if nothing was cut."""
    documents = "\n".join(
        f"Document [{n}](Title: {d['title']}) {d['text']}"
        for n, d in enumerate(row["documents"], 1)
    )
    content = f"{documents}\n\nQuestion: {row['question']}\nAnswer:"
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": content}]})
    request = urllib.request.Request(
        f"{url}/chat/completions", body.encode(), {"content-type": "application/json"}
    )
    start = time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        answer.read()
        spent = (time.perf_counter() - start) * 1000
        told = answer.headers
    before, after = told["x-unabridged-tokens-before"], told["x-unabridged-tokens-after"]
    assert before and int(after) < 0.6 * int(before), dict(told)
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with prompts/nq20.jsonl")
    parser.add_argument("--prompts", type=int, default=12)
    options = parser.parse_args()
    rows = rows_of(options.data)
    print(f"classifier alone: {pass_alone(rows):.0f} tokens/s")
    cold, cached = through_the_proxy(rows, options.prompts)
    for name, spent in (("cold", cold), ("cached", cached)):
        print(f"{name}: median {statistics.median(spent):.1f} ms, worst {max(spent):.1f} ms")


if __name__ == "__main__":
    main()
