"""Knows whether a Markdown text is inside code, read piece by piece."""

from __future__ import annotations

import re

_MARKS = re.compile(r"`|~|\n|[^`~\n]+")


class Code:
    """Follows fences (three backticks or tildes) and inline code through a text."""

    def __init__(self) -> None:
        self._mark = ""
        self._run = 0
        self._fence = ""
        self._inline = 0

    @property
    def fenced(self) -> bool:
        """True inside a fenced block. Ask only where a character that is no mark follows."""
        self._settle()
        return bool(self._fence)

    @property
    def inline(self) -> bool:
        """True inside inline code."""
        self._settle()
        return bool(self._inline)

    def read(self, text: str) -> None:
        """Take note of the next stretch of the text."""
        if not self._run and "`" not in text and "~" not in text and "\n" not in text:
            return
        for found in _MARKS.finditer(text):
            mark = found.group()[0]
            if mark not in "`~\n":
                self._settle()
            elif mark == self._mark:
                self._run += 1
            else:
                self._settle()
                self._mark, self._run = mark, 1

    def _settle(self) -> None:
        mark, run = self._mark, self._run
        self._mark, self._run = "", 0
        if mark == "\n":
            # Inline code does not reach over a blank line.
            self._inline = 0 if run > 1 else self._inline
        elif run > 2 and self._fence in ("", mark):
            self._fence = "" if self._fence else mark
            self._inline = 0
        elif mark == "`" and run < 3 and not self._fence and self._inline in (0, run):
            self._inline = 0 if self._inline else run
