"""The programs of docs/clients.md, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "clients.md"
PROGRAM = re.compile(r"## ([^\n]+)\n\n<!-- runs in: ([^>]+) -->\n```python\n(.*?)```", re.DOTALL)
ADDRESS = "http://127.0.0.1:8790"
HERE = os.environ.get("UNABRIDGED_TEST_ENVIRONMENT", "")
PROGRAMS = {
    name: program
    for name, where, program in PROGRAM.findall(DOCS.read_text(encoding="utf-8"))
    if HERE in where.split()
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_documented_program_runs_as_it_stands(ask: Any, name: str) -> None:
    program = PROGRAMS[name]
    changed = [line for line in program.splitlines() if line.endswith("# this line")]
    assert len(changed) == 1 and ADDRESS in changed[0]
    environment = {**os.environ, "OPENAI_API_KEY": ask.key, "ANTHROPIC_API_KEY": ask.key}
    done = subprocess.run(
        [sys.executable, "-c", program.replace(ADDRESS, ask.url.removesuffix("/v1"))],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Fowler" in done.stdout, done.stderr[-2000:]
