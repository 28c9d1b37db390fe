"""Gives an answer its original wording back; whatever goes wrong, it goes on as it came."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from unabridged.proxy.headers import Headers, first
from unabridged.proxy.receipt import Draft
from unabridged.proxy.sse import is_event_stream, is_json
from unabridged.proxy.steps import Steps, named
from unabridged.proxy.upstream import Answer
from unabridged.proxy.workers import Workers

SECONDS = 1.0
"""Longest time for the restoring of a whole answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restorer:
    """The means of restoring, put together at start-up."""

    steps: Steps
    workers: Workers

    async def whole(self, answer: Answer, index: Any, draft: Draft) -> bytes:
        """The restored body of an answer; the very body it has if nothing was restored."""
        if answer.status != 200 or not is_json(_content_type(answer.headers)):
            return answer.body
        if not _readable(answer.headers, draft):
            return answer.body
        start = time.perf_counter()
        try:
            restored = await self.workers.run(
                lambda _: self.steps.restore_answer(answer.body, index), seconds=SECONDS
            )
            draft.note(recovered=len(restored.edits))
            return bytes(restored.body) if restored.edits else answer.body
        except Exception as error:
            draft.note(failed_step="restore", reason=f"restore failed: {named(error)}")
            return answer.body
        finally:
            draft.spend("restore", time.perf_counter() - start)

    def stream(self, status: int, headers: Headers, index: Any, draft: Draft) -> Restoring | None:
        """What restores a stream as it passes; None if it is not one that can be restored."""
        if status != 200 or not is_event_stream(_content_type(headers)):
            return None
        if not _readable(headers, draft):
            return None
        return Restoring(lambda: self.steps.stream_restorer(index), draft)


class Restoring:
    """A Filter that restores a stream, until something fails: then it lets through what was
    held back and everything that follows, as it comes."""

    def __init__(self, restorer: Callable[[], Any], draft: Draft) -> None:
        self._draft = draft
        self._restorer: Any = None
        self._attempt(lambda: self._begin(restorer))

    def feed(self, piece: bytes) -> bytes:
        if self._restorer is None:
            return piece
        return self._attempt(lambda: self._restorer.feed(piece), piece)

    def flush(self) -> bytes:
        if self._restorer is None:
            return b""
        return self._attempt(lambda: self._restorer.flush())

    def _begin(self, restorer: Callable[[], Any]) -> bytes:
        self._restorer = restorer()
        return b""

    def _attempt(self, work: Callable[[], bytes], piece: bytes = b"") -> bytes:
        start = time.perf_counter()
        try:
            out = bytes(work())
            if self._restorer is not None:
                self._draft.note(recovered=len(self._restorer.edits))
            return out
        except Exception as error:
            self._draft.note(failed_step="restore", reason=f"restore failed: {named(error)}")
            held = getattr(self._restorer, "held", b"")
            self._restorer = None
            return bytes(held) + piece
        finally:
            self._draft.spend("restore", time.perf_counter() - start)


def _content_type(headers: Headers) -> str:
    return (first(headers, b"content-type") or b"").decode("latin-1")


def _readable(headers: Headers, draft: Draft) -> bool:
    if (first(headers, b"content-encoding") or b"identity").lower() == b"identity":
        return True
    draft.note(failed_step="restore", reason="the answer came encoded, though it was not asked to")
    return False
