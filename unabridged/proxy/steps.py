"""The steps of an exchange that may fail without harm, each replaceable, each timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from unabridged.compression.body import Body
from unabridged.compression.job import Cancelled, Count
from unabridged.compression.plan import Plan
from unabridged.compression.prompt import Compressed, Prompt
from unabridged.policies.policy import Policy


class StepFailed(Exception):
    """A step of ours failed; the caller's text goes on unchanged. Says which, and how."""

    def __init__(self, step: str, error: BaseException) -> None:
        self.step = step
        super().__init__(f"{step} failed: {named(error)}")


def named(error: BaseException) -> str:
    """The kind of an error, and not its text, which could hold a stretch of a prompt."""
    return type(error).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What is done to a body and to an answer. Tests put failing ones in their place."""

    read: Callable[[str, str], Body]
    """(body, surface), as all that take a surface: its name."""
    split: Callable[[str, Policy, str | None, str], Prompt]
    allot: Callable[[Prompt, Policy, Count], Plan]
    compress: Callable[..., Compressed]
    render: Callable[[Compressed], str]
    index: Callable[..., Any]
    """(compressed, by_place) -> what the two below take; by_place: citations count the documents
    as they were sent."""
    restore_answer: Callable[[bytes, Any, str], Any]
    """(body, index, surface) -> an object with `body`, `edits` and `untouched`."""
    stream_restorer: Callable[[Any, str], Any]
    """(index, surface) -> an object with `feed`, `flush`, `edits` and `untouched`."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far the work on one request has come, seen from another thread."""

    step: str = "queue"
    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def during(self, step: str) -> Iterator[None]:
        """Times a step. What it raises comes out as StepFailed, but for Cancelled."""
        self.step = step
        start = time.perf_counter()
        try:
            yield
        except (Cancelled, StepFailed):
            raise
        except Exception as error:
            raise StepFailed(step, error) from error
        finally:
            spent = (time.perf_counter() - start) * 1000
            self.milliseconds[step] = self.milliseconds.get(step, 0.0) + spent
