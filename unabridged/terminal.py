"""How a command reads what it is given and says what it found."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unabridged.policies.problem import ConfigError

if TYPE_CHECKING:
    from rich.console import Console


class NotText(ValueError):
    """A file that should be text is not."""


def read(name: str) -> str:
    """The text of a file, or of standard input for `-`; line ends as they are.

    Raises NotText and OSError.
    """
    raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotText(f"{name}: not UTF-8 text (byte {error.start})") from error


def write(text: str) -> None:
    """Exactly this text on standard output, without a new line of ours."""
    sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
    sys.stdout.buffer.flush()


def write_json(data: Any, *, indent: int | None = None) -> None:
    """One JSON object on standard output; in one line, unless it is to be indented."""
    write(json.dumps(data, ensure_ascii=False, indent=indent) + "\n")


def console(*, stderr: bool = False) -> Console:
    """Standard output (or what stands beside it), with colours if it is a terminal."""
    from rich.console import Console

    return Console(stderr=stderr)


def one_line(error: Exception) -> str:
    """An error as a person should see it. Our own are written for that; what is neither ours
    nor the operating system's is a fault of ours, and says how to see where."""
    if isinstance(error, ConfigError):
        return str(error)
    if type(error).__module__.startswith("unabridged."):
        return f"unabridged: {error}"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"unabridged: {where}{error.strerror or error}"
    said = f"unexpected {type(error).__name__}: {error}"
    return f"unabridged: {said} (UNABRIDGED_DEBUG=1 shows where)"


def until_interrupted() -> None:
    """Waits for Ctrl-C, or for the signal that ends a process in the background."""
    asked = threading.Event()
    before = {
        each: signal.signal(each, lambda *_: asked.set())
        for each in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        # A wait without an end would not be interrupted on every system.
        while not asked.wait(0.5):
            pass
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
