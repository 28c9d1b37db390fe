"""The budgets in force: those of the file, and those that were set at run time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from unabridged.policies.budget import Budget
from unabridged.proxy.database import budgets, snapshot, upsert
from unabridged.proxy.virtual_keys import current_version, next_version


class UnknownBudget(ValueError):
    """No budget has this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """What counts for a request from its admission to its end, whatever is changed meanwhile."""

    version: int
    all: tuple[Budget, ...]


class BudgetBook:
    """What is changed here is seen by every proxy at its next `refresh`."""

    def __init__(self, declared: Sequence[Budget], engine: Engine) -> None:
        """`declared` are those of the file; one set at run time takes the place of its
        namesake."""
        self._declared = {budget.name: budget for budget in declared}
        self.engine = engine
        self.current = Budgets(version=-1, all=tuple(declared))

    def refresh(self) -> bool:
        """Reads the budgets anew if any was changed; True if so. From a thread."""
        with snapshot(self.engine) as connection:
            version = current_version(connection, "budgets")
            if version == self.current.version:
                return False
            found = {**self._declared}
            for row in connection.execute(sa.select(budgets)):
                if row.declaration is None:
                    found.pop(row.name, None)
                else:
                    found[row.name] = Budget.model_validate_json(row.declaration)
        self.current = Budgets(version=version, all=tuple(found.values()))
        return True

    def set(self, budget: Budget, *, now_ms: int) -> None:
        """Declares or replaces a budget. Its counter stays if it counts the same things."""
        self._write(budget.name, budget.model_dump_json(), now_ms)

    def remove(self, name: str, *, now_ms: int) -> None:
        """Ends a budget, also one of the file. Raises UnknownBudget."""
        self.refresh()
        if name not in {budget.name for budget in self.current.all}:
            raise UnknownBudget(f"no budget is named {name[:60]!r}")
        self._write(name, None, now_ms)

    def _write(self, name: str, declaration: str | None, now_ms: int) -> None:
        with self.engine.begin() as connection:
            self._upsert(connection, name, declaration, now_ms)
            next_version(connection, "budgets")
        self.refresh()

    def _upsert(
        self, connection: Connection, name: str, declaration: str | None, now_ms: int
    ) -> None:
        row = {"name": name, "declaration": declaration, "changed_ms": now_ms}
        connection.execute(upsert(budgets, connection), row)
