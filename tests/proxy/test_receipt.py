"""A receipt is told in headers, in one line of JSON, and remembered; it never holds a prompt."""

from __future__ import annotations

import io
import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from unabridged.proxy.receipt import KEPT_IN_MEMORY, Draft, Receipts, receipt_headers


def draft(**said: object) -> Draft:
    return Draft(said={"request_id": "r", "path": "/v1/chat/completions", **said})


def headers(**said: object) -> dict[bytes, bytes]:
    return dict(receipt_headers(draft(**said).receipt(at=0)))


def test_the_headers_say_what_is_known() -> None:
    got = headers(
        policy="p", tokens_before={"document": 9, "question": 1}, tokens_after={"document": 4},
        cache="hit", recovered=2,
    )  # fmt: skip
    assert got == {
        b"x-unabridged-policy": b"p",
        b"x-unabridged-cache": b"hit",
        b"x-unabridged-ms": b"0.0",
        b"x-unabridged-tokens-before": b"10",
        b"x-unabridged-tokens-after": b"4",
        b"x-unabridged-recovered": b"2",
    }


def test_of_a_stream_nothing_is_told_that_is_not_known_yet() -> None:
    assert b"x-unabridged-recovered" not in headers(stream=True, recovered=0)


@given(st.text())
def test_no_text_can_break_out_of_a_header(text: str) -> None:
    value = headers(reason="x" + text)[b"x-unabridged-reason"]
    assert all(0x20 <= byte < 0x7F for byte in value)
    assert len(value) <= 300


def test_our_whole_time_is_the_sum_of_what_comes_one_after_the_other() -> None:
    one = draft(steps={"split": 3.0, "store": 1.0})
    one.spend("abridge", 0.005)
    one.spend("restore", 0.001)
    one.spend("restore", 0.001)
    receipt = one.receipt(at=1.0)
    assert receipt.added_ms == 7.0
    assert receipt.milliseconds == {"abridge": 5.0, "restore": 2.0, "split": 3.0, "store": 1.0}


def test_receipts_become_lines_of_json_and_batches_and_memories() -> None:
    output, shared = io.StringIO(), []
    receipts = Receipts(share=shared.extend, output=output)
    for n in range(KEPT_IN_MEMORY + 5):
        receipts.add(draft(status=200, route=str(n)).receipt(at=n))
    receipts.close()
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    assert [line["route"] for line in lines] == [str(n) for n in range(KEPT_IN_MEMORY + 5)]
    assert [json.loads(line)["at"] for line in shared] == list(range(KEPT_IN_MEMORY + 5))
    assert [r.route for r in receipts.recent(2)] == ["204", "203"]
    assert len(receipts.recent()) == KEPT_IN_MEMORY


def test_whatever_fails_with_a_batch_the_next_one_is_written() -> None:
    output, taken = io.StringIO(), list[Any]()

    def fails(_: Any) -> None:
        raise RuntimeError("codeword")

    receipts = Receipts(share=fails, output=output, takers=(fails, taken.extend))
    for n in range(2):
        receipts.add(draft(status=200).receipt(at=n))
        end = time.monotonic() + 5
        while len(taken) <= n and time.monotonic() < end:
            time.sleep(0.01)
    receipts.close()
    assert [receipt.at for receipt, _ in taken] == [0, 1]
    assert output.getvalue().count("could not be taken: RuntimeError") >= 2
    assert "codeword" not in output.getvalue()
