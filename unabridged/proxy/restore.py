"""Gives an answer its original wording back; whatever goes wrong, it goes on as it came."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from unabridged.compression.prompt import Compressed, Where
from unabridged.policies.problem import dotted
from unabridged.proxy.headers import Headers, first
from unabridged.proxy.indexes import NOT_KEPT, Indexes, Keeping
from unabridged.proxy.receipt import Draft
from unabridged.proxy.sse import is_event_stream, is_json
from unabridged.proxy.steps import Steps, named
from unabridged.proxy.upstream import Answer
from unabridged.proxy.workers import Workers
from unabridged.recovery.said import CITED

SECONDS = 1.0
"""Longest time for the restoring of a whole answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restorer:
    """The means of restoring, put together at start-up."""

    steps: Steps
    workers: Workers
    indexes: Indexes = field(default_factory=Indexes)

    def prepare(
        self,
        compressed: Compressed,
        *,
        audit: bool = False,
        by_place: bool = False,
        keeping: Keeping = NOT_KEPT,
    ) -> Index:
        """Begins to build the index of what was cut, while the upstream thinks. `audit`: the
        receipt is to say of each edit where it was made and where its words come from;
        `by_place`: citations count the documents as they were sent."""

        def build() -> Any:
            return self.steps.index(compressed, by_place=by_place)

        work = self.workers.run(
            lambda _: self.indexes.of(compressed, by_place, build, keeping), seconds=SECONDS
        )
        places = tuple(segment.where for segment in compressed.prompt.segments) if audit else ()
        searches = '"web_search_options"' in compressed.prompt.body
        return Index(asyncio.ensure_future(work), places, searches=searches)

    async def whole(
        self, answer: Answer, index: Index, draft: Draft, surface: str = "chat"
    ) -> bytes:
        """The restored body of an answer; the very body it has if nothing was restored."""
        if answer.status != 200 or not is_json(_content_type(answer.headers)):
            return answer.body
        if not _readable(answer.headers, draft):
            return answer.body
        with draft.timed("restore"):
            try:
                found = await index.ready()
                restored = await self.workers.run(
                    lambda _: self.steps.restore_answer(answer.body, found, surface),
                    seconds=SECONDS,
                )
            except Exception as error:
                _failed(draft, error)
                return answer.body
        _note(draft, restored, index.places)
        draft.edited(restored.edits)
        return bytes(restored.body) if restored.edits else answer.body

    async def stream(
        self, status: int, headers: Headers, index: Index, draft: Draft, surface: str = "chat"
    ) -> Restoring | None:
        """What restores a stream as it passes; None if it is not one that can be restored."""
        if status != 200 or not is_event_stream(_content_type(headers)):
            return None
        if not _readable(headers, draft):
            return None
        if surface == "chat" and (index.searches or "-search" in draft.said.get("model", "")):
            # Its citations come last, when the words that they count have gone out.
            draft.note(untouched=(CITED,))
            return None
        with draft.timed("restore"):
            try:
                found = await index.ready()
                return Restoring(self.steps.stream_restorer(found, surface), draft, index.places)
            except Exception as error:
                _failed(draft, error)
                return None


class Index:
    """The index of a request's cuts, which is being built."""

    def __init__(
        self,
        building: asyncio.Future[Any],
        places: tuple[Where, ...] = (),
        *,
        searches: bool = False,
    ) -> None:
        self._building = building
        self.places = places
        """Where each segment of the request stands; empty: nobody wants to know."""
        self.searches = searches
        """True if a chat asks for a search of the web, whose citations count characters."""
        # An answer that needs no index must not leave an error that nobody looks at.
        building.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def ready(self) -> Any:
        """Raises whatever the building raised."""
        return await self._building

    def drop(self) -> None:
        """Nobody needs it any more."""
        self._building.cancel()


class Restoring:
    """A Filter that restores a stream, until something fails: then it lets through what was
    held back and everything that follows, as it comes."""

    def __init__(self, restorer: Any, draft: Draft, places: tuple[Where, ...] = ()) -> None:
        self._draft = draft
        self._places = places
        self._restorer = restorer

    def feed(self, piece: bytes) -> bytes:
        with self._watched():
            if self._restorer is not None:
                return bytes(self._restorer.feed(piece))
        return self._let_go(piece)

    def flush(self) -> bytes:
        with self._watched():
            if self._restorer is not None:
                rest = bytes(self._restorer.flush())
                _note(self._draft, self._restorer, self._places)
                return rest
        return self._let_go(b"")

    @contextmanager
    def _watched(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
            if self._restorer is not None:
                self._draft.note(recovered=len(self._restorer.edits))
                self._draft.edited(self._restorer.edits)
        except Exception as error:
            _failed(self._draft, error)
        finally:
            self._draft.spend("restore", time.perf_counter() - start)

    def _let_go(self, piece: bytes) -> bytes:
        """What a restorer that failed still holds, and the piece it failed on."""
        restorer, self._restorer = self._restorer, None
        held = b""
        if restorer is not None:
            with contextlib.suppress(Exception):
                held = bytes(restorer.flush())
        # It may have failed before or after it took the piece in.
        return held if piece and held.endswith(piece) else held + piece


def _note(draft: Draft, done: Any, places: tuple[Where, ...]) -> None:
    """What was restored, what was left alone as a whole and, if `places` are given, where each
    edit was made and where its words come from: in offsets, without the words."""
    draft.note(recovered=len(done.edits), untouched=tuple(done.untouched))
    if places:
        draft.note(edits=tuple(_audited(edit, places) for edit in done.edits))


def _audited(edit: Any, places: tuple[Where, ...]) -> dict[str, Any]:
    at, until, _ = edit.splice
    segment, (start, end) = edit.piece.source
    source = places[segment]
    return {
        "place": dotted(edit.path),
        "start": at,
        "end": until,
        "source": {
            "place": dotted(source.path),
            "start": source.start + start,
            "end": source.start + end,
        },
        "why": edit.piece.why,
    }


def _failed(draft: Draft, error: Exception) -> None:
    draft.note(failed_step="restore", reason=f"restore failed: {named(error)}")


def _content_type(headers: Headers) -> str:
    return (first(headers, b"content-type") or b"").decode("latin-1")


def _readable(headers: Headers, draft: Draft) -> bool:
    if (first(headers, b"content-encoding") or b"identity").lower() == b"identity":
        return True
    draft.note(failed_step="restore", reason="the answer came encoded, though it was not asked to")
    return False
