"""The demo is the main job on real weights: everything it prints must have happened."""

from __future__ import annotations

import json
import re
import time
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2 as httpx
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
@pytest.mark.timeout(480)
def test_the_demo_shows_cuts_answers_receipts_and_a_cache_hit_and_the_page_has_them(
    tmp_path: Path,
) -> None:
    shown = StringIO()
    picture = tmp_path / "demo.svg"
    looked: list[dict[str, Any]] = []

    def look() -> None:
        page = re.search(r"http://\S+/ui", shown.getvalue())
        assert page is not None
        rows: list[dict[str, Any]] = []
        for _ in range(100):
            rows = httpx.get(f"{page[0]}/api/requests").json()["requests"]
            if len(rows) == 6 and all(row["has_text"] for row in rows):
                break
            time.sleep(0.1)
        looked.extend(httpx.get(f"{page[0]}/api/requests/{row['id']}").json() for row in rows)

    run(Console(file=shown, record=True, width=120), picture=picture, stay=look)
    said = shown.getvalue()
    assert "failed" not in said
    assert [seen["row"]["outcome"] for seen in looked] == ["shortened"] * 6
    assert all(seen["text"]["segments"] and seen["text"]["answers"] for seen in looked)
    assert sum(len(answer["edits"]) for seen in looked for answer in seen["text"]["answers"]) > 0
    assert all(seen["row"]["nano_usd"] for seen in looked)
    for words in ("A question over a dozen documents", "A few-shot prompt", "answer, streamed"):
        assert words in said
    assert said.count("cache hit") == 3
    assert "Names" in (drawn := picture.read_text("utf-8")) and "line-through" in drawn
