"""What the proxy says of itself: one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, TextIO


class JsonLines(logging.Formatter):
    """One JSON object a line. A record's `fields` are put beside its message."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["where"] = _where(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def handler(output: TextIO | None = None) -> logging.Handler:
    """Writes such lines; to stderr, if `output` is None."""
    writing = logging.StreamHandler(output or sys.stderr)
    writing.setFormatter(JsonLines())
    return writing


def logger(name: str, output: TextIO | None = None) -> logging.Logger:
    """One that is not shared by its name: proxies in one process do not write each other's."""
    made = logging.Logger(name, logging.INFO)
    made.addHandler(handler(output))
    return made


def _where(exc_info: Any) -> list[str]:
    """The lines of code that an exception came through; never its text or its locals."""
    lines = []
    step = exc_info[2]
    while step is not None:
        code = step.tb_frame.f_code
        lines.append(f"{code.co_filename.rpartition('/')[2]}:{step.tb_lineno} {code.co_name}")
        step = step.tb_next
    return lines[-8:]
