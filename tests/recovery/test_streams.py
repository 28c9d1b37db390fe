"""Each surface has its restorer."""

from __future__ import annotations

import json

from unabridged.compression.split import SPEECHES
from unabridged.recovery.index import Index
from unabridged.recovery.said import ANSWERS
from unabridged.recovery.streams import STREAMS, stream_restorer


def test_what_is_shortened_on_the_way_out_is_restored_on_the_way_back() -> None:
    assert SPEECHES.keys() == ANSWERS.keys() == STREAMS.keys()


def test_a_streamed_completion_is_restored(index: Index) -> None:
    def event(text: str, finish: str | None = None) -> bytes:
        choice = {"index": 0, "text": text, "finish_reason": finish}
        return b"data: " + json.dumps({"id": "c", "choices": [choice]}).encode() + b"\n\n"

    stream = event("by Wilhelm") + event(" Röntg") + event("", "stop") + b"data: [DONE]\n\n"
    restorer = stream_restorer(index, "completions")
    out = (restorer.feed(stream) + restorer.flush()).decode()
    chunks = [json.loads(line[6:]) for line in out.split("\n") if line.startswith("data: {")]
    assert "".join(c["choices"][0]["text"] for c in chunks) == "by Wilhelm Röntgen"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert len(restorer.edits) == 1
