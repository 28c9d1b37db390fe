"""What money needs is opened at start, kept going, and closed in order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from conftest import config_for
from ledger_world import ALICE, running_store, url

from unabridged.proxy.spend import spend
from unabridged.proxy.till import Outcome
from unabridged.proxy.treasury import DatabaseNotOpened, open_records, open_treasury, seldom
from unabridged.proxy.usage import Used
from unabridged.proxy.workers import Workers

PRICES = {"m": {"input": 1000, "output": 1000}}


def records(tmp_path: Path, **money: Any) -> Any:
    config = config_for("http://127.0.0.1:9/v1", money={"prices": PRICES, **money})
    opened = open_records(config, state_dir=tmp_path, environment={}, secret=b"s" * 32)
    return config, opened


def test_what_was_settled_last_is_copied_before_the_end(tmp_path: Path) -> None:
    reading = Workers(threads=1, queue=1)

    async def told(store: str) -> int:
        config, opened = records(tmp_path)
        treasury = open_treasury(
            config,
            opened,
            state_dir=tmp_path,
            store_url=store,
            revive=lambda: None,
            reading=reading,
            counter=lambda model, tokenizer: len,
            on_trouble=print,
        )
        till = treasury.spendings.till
        async with treasury.running():
            charge = await till.reserve(await till.admit(ALICE), None, model="m", upstream_url="")
            await till.settle(charge, Outcome(used=Used(input=1, output=1), basis="measured"))
        _, again = records(tmp_path)
        rows = spend(again.engine, now_ms=charge.hold.entry.at_ms, kind="total")
        return rows.total.nano_usd

    with running_store() as server:
        assert asyncio.run(told(url(server))) == 2_000_000
    reading.close()


def test_a_database_that_cannot_be_opened_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotOpened) as caught:
        records(tmp_path, database="postgresql://me:hunter2@127.0.0.1:9/none?connect_timeout=1")
    assert "127.0.0.1:9" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_same_trouble_is_told_once_in_a_while() -> None:
    now = [0.0]
    told: list[str] = []
    say = seldom(told.append, seconds=60, clock=lambda: now[0])
    for _ in range(3):
        say("down")
    say("slow")
    now[0] = 61
    say("down")
    assert told == ["down", "slow", "down"]
