"""Keeps what could not be charged while the store was down, on disk, until it can."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from unabridged.policies.budget import Budget
from unabridged.proxy.ledger import Claim, Entry, Hold, Settled, counters


class OfAnotherVersion(Exception):
    """A file has entries or budgets with fields that are not known here."""


class Spool:
    """One file of this process, and those that dead processes left behind.

    A line is an entry and the budgets that counted it. Charging is idempotent, so a line that
    was charged just before a crash does no harm when it is charged again. Threads may share it.
    """

    def __init__(
        self, directory: Path, *, on_trouble: Callable[[str], None] = lambda _: None
    ) -> None:
        self._directory = directory
        self._on_trouble = on_trouble
        self._file: TextIO | None = None
        self._waiting: dict[str, Settled] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, settled: Sequence[Settled]) -> None:
        """Keeps these; they are on disk when this returns, after one write. Raises OSError, and
        then they are in memory at least."""
        with self._lock:
            self._keep(settled)

    def take(self) -> list[Settled]:
        """All that wait, those of dead processes included."""
        with self._lock:
            for path in self._orphans():
                try:
                    self._keep(list(_read(path)))
                except OfAnotherVersion:
                    self._on_trouble(f"{path} is left for the version that wrote it")
                else:
                    path.unlink()
            return list(self._waiting.values())

    def done(self, holds: Sequence[Hold]) -> None:
        """These were charged."""
        with self._lock:
            for hold in holds:
                self._waiting.pop(hold.id, None)
            if not self._waiting and self._file is not None:
                self._file.truncate(0)

    def close(self) -> None:
        """Leaves the file for the next process if something waits still."""
        with self._lock:
            if self._file is not None:
                if not self._waiting:
                    Path(self._file.name).unlink(missing_ok=True)
                self._file.close()
                self._file = None

    def _keep(self, settled: Sequence[Settled]) -> None:
        self._waiting |= {hold.id: (hold, entry) for hold, entry in settled}
        self._write(settled)

    def _write(self, settled: Sequence[Settled]) -> None:
        if not settled:
            return
        while self._file is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._directory / f"{uuid.uuid4().hex}.jsonl"
            file = path.open("a", encoding="utf-8")
            # Held as long as this process lives; who can take it knows that we are dead.
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists():
                self._file = file
            else:  # another process was faster, and took it for an orphan
                file.close()
        self._file.write("".join(_line(hold, entry) + "\n" for hold, entry in settled))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _orphans(self) -> Iterator[Path]:
        own = Path(self._file.name) if self._file else None
        for path in self._directory.glob("*.jsonl"):
            if path == own:
                continue
            with contextlib.suppress(OSError), path.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.exists():  # nobody else has taken it over
                    yield path


def _line(hold: Hold, entry: Entry) -> str:
    budgets = [claim.counter.budget.model_dump(mode="json") for claim in hold.claims]
    return json.dumps({"entry": entry.record(), "budgets": budgets})


def _read(path: Path) -> Iterator[Settled]:
    """Raises OfAnotherVersion."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            data: dict[str, Any] = json.loads(line)
        except ValueError:
            continue  # the last line of a process that died while it wrote
        try:
            entry = Entry.of(data["entry"])
            budgets = [Budget.model_validate(budget) for budget in data["budgets"]]
        except (TypeError, KeyError, ValueError) as error:
            raise OfAnotherVersion from error
        claims = tuple(
            Claim(counter=counter, amount=0)
            for counter in counters(budgets, entry.scopes, entry.at_ms)
        )
        yield Hold(entry=entry, claims=claims), entry
