"""What could not be charged survives the process, and is charged once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import ledger_world
from ledger_world import cost, hold

from unabridged.policies.budget import Budget
from unabridged.proxy.spool import Spool

ORG = Budget(name="org", window="total", limit=Decimal(1))


def test_what_is_kept_can_be_taken_until_it_is_done(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    first, second = hold([ORG], 5), hold([ORG], 7)
    spool.add([(first, cost(first, 3)), (second, cost(second, 4))])
    assert [entry.nano_usd for _, entry in spool.take()] == [3, 4]
    spool.done([first])
    assert [entry.nano_usd for _, entry in spool.take()] == [4]
    spool.done([second])
    assert len(spool) == 0
    spool.close()
    assert not list((tmp_path / "spool").iterdir())


def test_what_a_dead_process_left_is_taken_over_with_its_budgets(tmp_path: Path) -> None:
    code = (
        "import sys, os; from pathlib import Path; from ledger_world import *;"
        "from unabridged.proxy.spool import Spool; spool = Spool(Path(sys.argv[1]));"
        "held = hold(SHARED, 5, id='left'); spool.add([(held, cost(held, 3))]); os._exit(9)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(ledger_world.__file__).parent,
        check=False,
        timeout=60,
    )
    spool = Spool(tmp_path)
    ((held, entry),) = spool.take()
    assert (held.id, entry.nano_usd) == ("left", 3)
    expected = hold(ledger_world.SHARED, 5)
    ids = [claim.counter.id for claim in held.claims]
    assert ids == [claim.counter.id for claim in expected.claims]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_of_a_newer_version_is_left_for_it_and_the_others_are_taken(tmp_path: Path) -> None:
    held = hold([ORG], 5)
    for name in ("entry", "budgets", ""):
        dead = Spool(tmp_path)
        dead.add([(held, cost(held, 3))])
        dead.close()
        (file,) = tmp_path.glob("*.jsonl")
        line = json.loads(file.read_text())
        if name:
            (line[name] if name == "entry" else line[name][0])["invented_later"] = 1
        file.write_text(json.dumps(line) + '\n{"half')
        file.rename(tmp_path / f"{name or 'ours'}.kept")
    for file in tmp_path.glob("*.kept"):
        file.rename(file.with_suffix(".jsonl"))
    troubles: list[str] = []
    spool = Spool(tmp_path, on_trouble=troubles.append)
    assert [entry.nano_usd for _, entry in spool.take()] == [3]
    assert len(troubles) == 2
    assert {"entry.jsonl", "budgets.jsonl"} <= {path.name for path in tmp_path.iterdir()}
    assert not (tmp_path / "ours.jsonl").exists()


def test_the_file_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    living, other = Spool(tmp_path), Spool(tmp_path)
    held = hold([ORG], 5)
    living.add([(held, cost(held, 3))])
    assert other.take() == []
    living.close()
    assert len(other.take()) == 1


def test_processes_that_look_for_orphans_all_the_time_take_no_file_that_is_just_made(
    tmp_path: Path,
) -> None:
    code = (
        "import sys; from pathlib import Path; from unabridged.proxy.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1])); print(flush=True)\n"
        "while True: spool.take()"
    )
    looking = [sys.executable, "-c", code, str(tmp_path)]
    held = hold([ORG], 5)
    with subprocess.Popen(looking, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            other.stdout.readline()
            end = time.monotonic() + 3
            while time.monotonic() < end:
                spool = Spool(tmp_path)
                spool.add([(held, cost(held, 3))])
                assert list(tmp_path.iterdir()), "the file is gone, and with it what it keeps"
                spool.done([held])
                spool.close()
            assert other.poll() is None
        finally:
            other.kill()


def test_half_a_line_does_not_spoil_the_rest(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    held = hold([ORG], 5)
    spool.add([(held, cost(held, 3))])
    spool.close()
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text() + '{"entry": {"id": "br')
    assert len(Spool(tmp_path).take()) == 1


def test_without_anything_kept_there_is_no_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "none")
    assert spool.take() == []
    spool.close()
    assert not (tmp_path / "none").exists()
