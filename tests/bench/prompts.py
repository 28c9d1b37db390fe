"""Reads the sets of prompts that the benchmarks measure on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def sets(data: Path, names: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Name and rows of each set of `names` (comma-separated) that `data` has in prompts/*.jsonl;
    says which it lacks."""
    for name in names.split(","):
        path = data / "prompts" / f"{name}.jsonl"
        if path.exists():
            yield name, [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        else:
            print(f"{name}: skipped, no {path.name}", flush=True)
