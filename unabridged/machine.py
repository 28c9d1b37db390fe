"""Pictures of what is on this machine: weights, what the doctor found, how far a download is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from unabridged import show
from unabridged.proxy.doctor import Finding
from unabridged.proxy.weights import Weights


def models_list(listed: Iterable[Weights]) -> RenderableType:
    """The weights that are known, and where they lie."""
    rows: list[RenderableType] = []
    for weights in listed:
        rows.append(
            Text.assemble(
                (weights.source, "bold"), f"  {decimal(weights.bytes)}  {weights.licence}"
            )
        )
        rows.append(show.entry(weights.about))
        where = (str(weights.place), "dim") if weights.place else ("not pulled yet", "yellow")
        rows.append(show.entry(*where))
    return Group(*rows)


def findings_table(findings: Iterable[Finding]) -> Table:
    """What the doctor saw."""
    table = show.grid("", "", "")
    table.show_header = False
    for finding in findings:
        mark = Text("ok", "green") if finding.well else Text("problem", "bold red")
        show.row(table, mark, finding.what, finding.said)
    return table


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on stderr; what it gives is called with units done, the whole (0: unknown) and what
    is being done, from any thread."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=quiet) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total or None)
            bar.update(tasks[what], completed=done, total=total or None)

        yield tell
