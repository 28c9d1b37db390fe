"""Events are whole before they are read, and no byte is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unabridged.recovery.frames import LARGEST_EVENT, Frame, Frames

ENDS = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"])
EVENTS = st.lists(
    st.tuples(st.sampled_from([b'data: {"a": 1}', b": ping", b"event: x\ndata: []"]), ENDS).map(
        b"".join
    )
)


@given(EVENTS, st.integers(1, 9))
def test_however_it_is_chopped_the_bytes_and_events_are_the_same(
    events: list[bytes], size: int
) -> None:
    stream = b"".join(events) + b"data: cut off"
    frames, seen = Frames(), []

    def read(frame: Frame) -> bytes:
        seen.append(frame.event)
        return frame.raw

    out = [frames.feed(stream[n : n + size], read) for n in range(0, len(stream), size)]
    assert b"".join(out) + frames.rest() == stream
    carrying = [e for e in events if not e.startswith(b":")]
    assert seen == [{"a": 1} if e.startswith(b"data: {") else None for e in carrying]


def test_what_never_ends_an_event_is_not_held_for_ever() -> None:
    frames, sent = Frames(), 0
    piece = b"x" * 2**20
    for number in range(1, 40):
        sent += len(frames.feed(piece, lambda frame: frame.raw))
        assert number * len(piece) - sent <= LARGEST_EVENT
    assert frames.feed(b'\n\ndata: {"a": 1}\n\n', lambda frame: b"").endswith(b"\n\n")
    assert frames.rest() == b""


def test_other_data_is_put_into_an_event_and_all_else_stays() -> None:
    frame = Frame(b'id: 1\ndata: {"a": 1}\r\n\r\n', b'{"a": 1}', {"a": 1})
    assert frame.with_data(b"{}") == b"id: 1\ndata: {}\r\n\r\n"


def test_data_that_is_nested_too_deeply_to_be_read_is_no_event() -> None:
    deep = b'data: {"a":' + b"[" * 5000 + b"]" * 5000 + b"}\n\n"
    seen: list[Frame] = []

    def read(frame: Frame) -> bytes:
        seen.append(frame)
        return frame.raw

    assert Frames().feed(deep, read) == deep
    assert [frame.event for frame in seen] == [None]
