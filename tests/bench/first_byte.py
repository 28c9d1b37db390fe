"""What recovery adds to the time to the first byte of a streamed answer.

    python tests/bench/first_byte.py [--tokens 8000] [--requests 100]

Two proxies in processes of their own, one with the policy `recovery: off`, are asked in turn for a
prompt that both know; the upstream begins at once, or thinks first, and says nothing that a cut
could have left. Printed are medians, and the median of the differences of each pair.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "proxy"))

import httpx2 as httpx
from caching_world import MODEL, Process, asking, document, proxies, question
from fake_upstream import FakeUpstream, streamed

from unabridged.compression.tokens import counter

ANSWER = "Nobody knows, and whoever says so has asked nobody at all, as far as anyone can tell."


def first_byte(each: Process, body: dict[str, Any], client: httpx.Client) -> float:
    """Milliseconds from the request to the first event that brings text."""
    start = time.perf_counter()
    with client.stream("POST", f"{each.url}/chat/completions", json=body, timeout=60) as answer:
        answer.raise_for_status()
        for piece in answer.iter_raw():
            if b'"content"' in piece:
                return (time.perf_counter() - start) * 1000
    raise AssertionError("the answer brought no text")


def main() -> None:
    """Print a table."""
    ask = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ask.add_argument("--tokens", type=int, default=8000)
    ask.add_argument("--requests", type=int, default=100)
    said = ask.parse_args()
    count, documents = counter(MODEL, None), [document(0)]
    while sum(map(count, documents)) < said.tokens:
        documents.append(document(len(documents)))
    body = {**asking(*documents, about=question(1)), "stream": True}
    print(f"load of the machine: {os.getloadavg()[0]:.1f}\n")
    print("| upstream thinks | pairs | off, ms | on, ms | difference, ms |\n|" + "---|" * 5)
    with ExitStack() as stack:
        upstream = stack.enter_context(FakeUpstream())
        both = []
        for recovery in ("off", "alignment"):
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            both += stack.enter_context(proxies(1, upstream.url, place, recovery=recovery))
        client = stack.enter_context(httpx.Client())
        for seconds in (0.05, 0.0):
            reply = streamed(ANSWER)
            upstream.reply(replace(reply, before=(seconds, *reply.before[1:])))
            for each in both:
                first_byte(each, body, client)
            pairs = [
                [first_byte(each, body, client) for each in both] for _ in range(said.requests)
            ]
            off, on = (statistics.median(side) for side in zip(*pairs, strict=True))
            more = statistics.median(b - a for a, b in pairs)
            cells = f"{len(pairs)} | {off:.2f} | {on:.2f} | {more:.2f}"
            print(f"| {1000 * seconds:.0f} ms | {cells} |", flush=True)


if __name__ == "__main__":
    main()
