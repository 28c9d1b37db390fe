"""The demo is the main job on real weights: everything it prints must have happened."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from unabridged.compression.split import split
from unabridged.policies.policy import Policy
from unabridged.proxy.demo import _text, run, scenes


def test_the_scenes_are_split_into_all_their_parts() -> None:
    documents, shots, names = (
        split(json.dumps({"messages": scene.messages}), Policy(), None) for scene in scenes()
    )
    assert sum(s.kind == "document" for s in documents.segments) == 12
    assert "contractor" in documents.question(0)
    assert sum(s.kind == "demonstration" for s in shots.segments) == 8
    assert "The best tent" in shots.question(0)
    assert sum(s.kind == "document" for s in names.segments) == 2


def test_a_streamed_answer_reads_like_a_plain_one() -> None:
    plain = {"choices": [{"message": {"content": "It was Röntgen."}}]}
    events = [
        {"choices": [{"delta": {"role": "assistant"}}]},
        {"choices": [{"delta": {"content": "It was "}}]},
        {"choices": [{"delta": {"content": "Röntgen."}}]},
        {"choices": [], "usage": {}},
    ]
    streamed = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    assert _text(json.dumps(plain).encode()) == _text(streamed.encode()) == "It was Röntgen."


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.timeout(240)
def test_the_demo_shows_cuts_answers_receipts_and_a_cache_hit(tmp_path: Path) -> None:
    shown = StringIO()
    picture = tmp_path / "demo.svg"
    run(Console(file=shown, record=True, width=120), picture=picture)
    said = shown.getvalue()
    for words in ("A question over a dozen documents", "A few-shot prompt", "answer, streamed"):
        assert words in said
    assert said.count("cache hit") == 3
    assert "Names" in (drawn := picture.read_text("utf-8")) and "line-through" in drawn
