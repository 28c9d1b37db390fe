"""What remembering is worth: python tests/bench/caching.py [--requests 1000]

Measurements, each through proxies in processes of their own, over one store:

- so many requests over 50 documents, through two proxies: each document is compressed once;
- what prompts of a conversation of 20 turns cost at a provider that asks a tenth for the beginning
  of a prompt that it has seen: without a proxy, through the proxy, and with all of the history cut
  anew towards each question;
- with `--recorded FILE` (JSON lines with `messages`), whether each turn of recorded conversations
  begins with the bytes that were sent of the one before, over two proxies that are started anew
  twice and a store that is emptied in the middle of each conversation; only that;
- the proxy's own milliseconds for a prompt of 8,000 tokens that it knows. With an upstream that
  answers at once they hold the making of the index of what was cut, which else goes on while the
  provider thinks.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "proxy"))

import httpx2 as httpx
from caching_world import (
    MODEL,
    Process,
    Provider,
    asked_by,
    asking,
    breaks,
    conversation,
    document,
    naively,
    proxies,
    question,
    replayed,
)
from fake_upstream import FakeUpstream, completion

from unabridged.compression.tokens import counter

DOCUMENTS = 50
CONNECTIONS = 8


def once_each(both: list[Process], requests: int) -> None:
    """Many requests over few documents."""

    def ask(number: int) -> str:
        body = asking(document(number % DOCUMENTS, 120), about=question(number % DOCUMENTS))
        return str(both[number % 2].ask(body).headers["x-unabridged-cache"])

    start = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        uses = Counter(pool.map(ask, range(requests)))
    seconds = time.perf_counter() - start
    receipts = [r for each in both for r in each.receipts(requests // 2)]
    ran = sum("compress" in r["milliseconds"] for r in receipts)
    told = ", ".join(f"{use} {count}" for use, count in uses.most_common())
    print(f"| {requests} | {DOCUMENTS} | {ran} | {told} | {requests / seconds:.0f} |")


def bills(turns: int, rate: float, directory: Path) -> dict[str, Provider]:
    """What prompts of one conversation cost, three ways."""
    requests = conversation(turns)
    found = {"no proxy": Provider(), "through the proxy": Provider()}
    for request in requests:
        found["no proxy"].answer(request)
    with FakeUpstream() as upstream:
        upstream.reply(found["through the proxy"])
        with proxies(1, upstream.url, directory, rate=rate) as [proxy]:
            for request in requests:
                proxy.ask(request).raise_for_status()
    found["history cut anew for each question"] = naively(requests, rate)
    return found


def own_time(each: Process, tokens: int, times: int) -> list[float]:
    """Milliseconds of the proxy's own for a prompt of at least so many tokens that it knows."""
    count, documents = counter(MODEL, None), [document(0)]
    while sum(map(count, documents)) < tokens:
        documents.append(document(len(documents)))
    body = asking(*documents, about=question(1))
    before = len(each.receipts(0))
    with httpx.Client() as client:
        for _ in range(times + 1):
            each.ask(body, client)
    known = each.receipts(before + times + 1)[before + 1 :]
    assert all(r["cache"] == "hit" for r in known)
    return sorted(r["added_ms"] for r in known)


def prefixes(file: Path) -> None:
    """Recorded conversations, turn by turn."""
    lines = file.read_text(encoding="utf-8").splitlines()
    conversations = [asked_by(json.loads(line)["messages"]) for line in lines]
    with tempfile.TemporaryDirectory() as place, FakeUpstream() as upstream:
        halves = {"history": 0.5, "instruction": 0.5}  # else little of such a conversation is cut
        sent = replayed(conversations, upstream, Path(place), keep=halves)
    came = [len(json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode())
            for requests in conversations for each in requests]  # fmt: skip
    went = [len(body) for bodies in sent for body in bodies]
    print("| conversations | requests | bytes came | bytes sent | turns that break the prefix |")
    print("|---|---|---|---|---|")
    broken = sum(map(breaks, sent))
    print(f"| {len(sent)} | {len(went)} | {sum(came)} | {sum(went)} | {broken} |")


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ask.add_argument("--requests", type=int, default=1000)
    ask.add_argument("--turns", type=int, default=20)
    ask.add_argument("--rate", type=float, default=0.5)
    ask.add_argument("--recorded", type=Path)
    said = ask.parse_args()
    if said.recorded:
        return prefixes(said.recorded)
    print(f"load of the machine: {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as place:
        print("| provider thinks | tokens | requests | median ms | p90 | p99 |\n|" + "---|" * 6)
        with FakeUpstream() as upstream, proxies(1, upstream.url, Path(place)) as [proxy]:
            for seconds in (0.0, 0.05):
                upstream.reply(replace(completion("It was built in 1612."), before=(seconds,)))
                took = own_time(proxy, 8000, 150)
                p90, p99 = (took[int(len(took) * share)] for share in (0.9, 0.99))
                middle = statistics.median(took)
                told = f"{len(took)} | {middle:.2f} | {p90:.2f} | {p99:.2f}"
                print(f"| {1000 * seconds:.0f} ms | 8000 | {told} |")
        with FakeUpstream() as upstream, proxies(2, upstream.url, Path(place)) as both:
            print("\n| requests | documents | compressed | cache | requests/s |\n|" + "---|" * 5)
            once_each(list(both), said.requests)
        print("\n| way | tokens sent | read from the provider's cache | bill |\n|---|---|---|---|")
        for name, provider in bills(said.turns, said.rate, Path(place)).items():
            print(f"| {name} | {provider.tokens} | {provider.cached} | {provider.bill:.0f} |")


if __name__ == "__main__":
    main()
