"""Events are found however the bytes are chopped, and no byte is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unabridged.proxy.sse import Splitter, Watch, is_event_stream

EVENT = st.builds(
    lambda lines, end: b"".join(b"data: " + line + end for line in lines) + end,
    st.lists(st.from_regex(rb"[a-z\xc3\xa9 ]{0,8}", fullmatch=True), min_size=1, max_size=3),
    st.sampled_from([b"\n", b"\r\n"]),
)


@given(st.lists(EVENT), st.lists(st.integers(1, 7)))
def test_chopping_changes_nothing(events: list[bytes], sizes: list[int]) -> None:
    whole = b"".join(events)
    splitter, found, at = Splitter(), [], 0
    for size in [*sizes, len(whole)]:
        found += splitter.feed(whole[at : at + size])
        at += size
    rest = splitter.flush()
    assert found == events
    assert rest == b""


@given(st.binary(), st.integers(0, 50))
def test_no_byte_is_ever_lost(data: bytes, cut: int) -> None:
    splitter = Splitter()
    out = splitter.feed(data[:cut]) + splitter.feed(data[cut:])
    assert b"".join(out) + splitter.flush() == data


def test_an_error_in_mid_event_closes_the_event_first() -> None:
    watch = Watch()
    for byte in b"data: {}\n\n":
        watch.see(bytes([byte]))
    assert watch.between_events
    watch.see(b"data: {")
    assert not watch.between_events


@given(st.lists(st.integers(1, 9)))
def test_the_end_is_seen_however_it_is_chopped(sizes: list[int]) -> None:
    for said in (
        b"data: [DONE]\n\n",
        b'data: {"finish_reason": "stop"}\n\n',
        b"event: message_stop\n\n",
    ):
        watch, at = Watch(), 0
        for size in [*sizes, len(said)]:
            assert not watch.ended or at >= 10
            watch.see(said[at : at + size])
            at += size
        assert watch.ended


def test_a_null_finish_reason_is_not_an_end() -> None:
    watch = Watch()
    watch.see(b'data: {"finish_reason": null}\n\n')
    assert not watch.ended


def test_the_content_type_is_read_without_its_parameters() -> None:
    assert is_event_stream("Text/Event-Stream; charset=utf-8")
    assert not is_event_stream("application/json")
