"""An answer is restored if it can be; else it goes on as it came, whole and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from conftest import Edited, FakeStreamRestorer, fake_steps
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.prompt import Compressed, Prompt, Segment, Where
from unabridged.proxy.receipt import Draft
from unabridged.proxy.restore import Index, Restorer, Restoring
from unabridged.proxy.upstream import Answer
from unabridged.proxy.workers import Workers
from unabridged.recovery.answer import restore_answer
from unabridged.recovery.index import Index as Cuts
from unabridged.recovery.said import CITED
from unabridged.recovery.streams import stream_restorer

JSON = [(b"Content-Type", b"application/json; charset=utf-8")]
EVENTS = [(b"content-type", b"text/event-stream")]
ORIGINAL = "Read on. The Treaty of Ghent was signed."
SENT = Compressed(
    prompt=Prompt(
        body="",
        segments=(
            Segment(
                kind="document",
                text=ORIGINAL[9:],
                where=Where(path=("messages", 0, "content"), start=9),
            ),
        ),
    ),
    kept=(((0, 10), (13, 31)),),
    why=("",),
    tokens_before=(9,),
    tokens_after=(8,),
)


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers(threads=1, queue=4)
    yield workers
    workers.close()


def draft() -> Draft:
    return Draft(said={"request_id": "r", "path": "/"})


def whole(workers: Workers, answer: Answer, told: Draft, **steps: Any) -> bytes:
    async def main() -> bytes:
        restorer = Restorer(steps=fake_steps(**steps), workers=workers)
        return await restorer.whole(answer, restorer.prepare(SENT), told)

    return asyncio.run(main())


def test_a_json_answer_is_restored_and_counted(workers: Workers) -> None:
    told = draft()
    answer = Answer(status=200, headers=JSON, body=b'"SHORT SHORT"')
    assert whole(workers, answer, told) == b'"SHORTENED SHORTENED"'
    assert told.said["recovered"] == 2


@pytest.mark.parametrize(
    "answer",
    [Answer(status=500, headers=JSON, body=b"SHORT"),
     Answer(status=200, headers=EVENTS, body=b"SHORT"),
     Answer(status=200, headers=[], body=b"SHORT"),
     Answer(status=200, headers=[*JSON, (b"content-encoding", b"br")], body=b"SHORT"),
     Answer(status=200, headers=JSON, body=b"nothing to do")],
)  # fmt: skip
def test_any_other_answer_is_the_very_bytes_that_came(workers: Workers, answer: Answer) -> None:
    assert whole(workers, answer, draft()) is answer.body


def test_a_restorer_that_takes_too_long_is_not_waited_for(workers: Workers) -> None:
    import time

    def slow(body: bytes, index: Any, surface: str) -> Edited:
        time.sleep(1.3)
        return Edited(b"late", ("x",))

    told = draft()
    answer = Answer(status=200, headers=JSON, body=b"SHORT")
    assert whole(workers, answer, told, restore_answer=slow) is answer.body
    assert told.said["reason"] == "restore failed: DeadlineMissed"


class Failing(FakeStreamRestorer):
    """Fails when it meets BAD: before it has taken the piece in, or after."""

    after = False

    def feed(self, piece: bytes) -> bytes:
        if b"BAD" in piece:
            if self.after:
                self.held += piece
            raise RuntimeError
        return super().feed(piece)


class FailingLater(Failing):
    after = True


@pytest.mark.parametrize("restorer", [Failing, FailingLater])
def test_what_a_failing_restorer_held_is_let_through_once(restorer: type[Failing]) -> None:
    told = draft()
    through = Restoring(restorer(None), told)
    out = [through.feed(p) for p in (b"SHORT SHO", b"BAD", b"SHORT")] + [through.flush()]
    assert b"".join(out) == b"SHORTENED SHOBADSHORT"
    assert told.said["failed_step"] == "restore"


@given(st.lists(st.sampled_from([b"SHO", b"RT", b" ", b"S", b"x"])))
def test_chopping_a_stream_changes_nothing(pieces: list[bytes]) -> None:
    through = Restoring(FakeStreamRestorer(None), draft())
    out = b"".join(through.feed(piece) for piece in pieces) + through.flush()
    assert out == b"".join(pieces).replace(b"SHORT", b"SHORTENED")


def test_an_index_that_nobody_needs_leaves_nothing_behind(workers: Workers) -> None:
    async def main() -> None:
        restorer = Restorer(steps=fake_steps(index=lambda _, by_place: 1 // 0), workers=workers)
        index: Index = restorer.prepare(SENT)
        await asyncio.sleep(0.05)
        index.drop()
        with pytest.raises(ZeroDivisionError):
            await index.ready()

    asyncio.run(main())


REAL = {"index": Cuts.build, "restore_answer": restore_answer, "stream_restorer": stream_restorer}


def told_by(workers: Workers, answer: Answer, *, audit: bool, stream: bool = False) -> Draft:
    """What the receipt says of an answer in which the treaty was shortened."""
    told = draft()

    async def main() -> None:
        restorer = Restorer(steps=fake_steps(**REAL), workers=workers)
        index = restorer.prepare(SENT, audit=audit)
        if not stream:
            await restorer.whole(answer, index, told)
            return
        through = await restorer.stream(200, EVENTS, index, told)
        assert through is not None
        through.feed(answer.body)
        through.flush()

    asyncio.run(main())
    return told


WHOLE = b'{"choices": [{"index": 0, "message": {"content": "By the Treaty Ghent."}%s}]}'
CHUNK = b'data: {"choices": [{"index": 0, "delta": {"content": "By the Treaty Ghent."}%s}]}\n\n'


@pytest.mark.parametrize(
    ("body", "model", "left"),
    [
        ('{"web_search_options": {}}', "m", True),
        ("{}", "gpt-4o-search-preview", True),
        ('{"messages": ["\\\\"web_search_options\\\\""]}', "m", False),
    ],
)
def test_a_streamed_chat_that_searches_is_left_as_its_citations_count_its_characters(
    workers: Workers, body: str, model: str, left: bool
) -> None:
    async def main() -> None:
        restorer = Restorer(steps=fake_steps(**REAL), workers=workers)
        sent = replace(SENT, prompt=replace(SENT.prompt, body=body))
        told = draft()
        told.note(model=model)
        through = await restorer.stream(200, EVENTS, restorer.prepare(sent), told)
        assert (through is None) == left
        assert told.said.get("untouched") == ((CITED,) if left else None)

    asyncio.run(main())


@pytest.mark.parametrize(("body", "stream"), [(WHOLE, False), (CHUNK, True)])
def test_with_consent_the_receipt_says_where_each_edits_words_stand(
    workers: Workers, body: bytes, stream: bool
) -> None:
    answer = Answer(status=200, headers=JSON, body=body % b"")
    (edit,) = told_by(workers, answer, audit=True, stream=stream).said["edits"]
    assert edit["place"] == "choices[0].message.content"
    assert (edit["start"], edit["end"]) == (7, 19)
    source = edit["source"]
    assert source["place"] == "messages[0].content"
    assert ORIGINAL[source["start"] : source["end"]] == "Treaty of Ghent"
    assert "Treaty" not in str(edit)
    assert "edits" not in told_by(workers, answer, audit=False, stream=stream).said


@pytest.mark.parametrize(("body", "stream"), [(WHOLE, False), (CHUNK, True)])
def test_the_receipt_says_what_was_left_as_it_came(
    workers: Workers, body: bytes, stream: bool
) -> None:
    scored = Answer(status=200, headers=JSON, body=body % b', "logprobs": {"content": []}')
    said = told_by(workers, scored, audit=True, stream=stream).said
    assert said["recovered"] == 0
    assert "log probabilities" in said["untouched"][0]
