"""Names are unique, in one process and among those that start at the same time."""

from __future__ import annotations

import re
import subprocess
import sys

from unabridged.proxy.ids import unique

MANY = "from unabridged.proxy.ids import unique; print(*(unique() for _ in range(1000)))"


def test_names_are_unique_in_all_processes() -> None:
    started = [subprocess.Popen([sys.executable, "-c", MANY], stdout=subprocess.PIPE, text=True)
               for _ in range(2)]  # fmt: skip
    names = [unique() for _ in range(1000)]
    for process in started:
        names += process.communicate()[0].split()
    assert len(set(names)) == 3000
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)
