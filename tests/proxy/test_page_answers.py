"""The contract of the page's API: one example of each answer, in the shape it promises."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from unabridged.proxy import page_answers as page

SPREAD = {"total": 2814, "median": 1407.0}
FIGURES = {
    "requests": 2,
    "tokens_before": SPREAD,
    "tokens_after": {"total": 418, "median": 209.0},
    "tokens_saved": {"total": 2396, "median": 1198.0},
    "saved_share": 0.851,
    "nano_usd": {"total": 152_400, "median": 76_200.0},
    "saved_nano_usd": {"total": 359_400, "median": 179_700.0},
    "estimated": 0,
    "unpriced": 0,
    "lost": 0,
}
LEVEL = {
    "budget": "research", "org": "default", "subject": "alice", "window": "month",
    "unit": "money", "limit": 100_000_000_000, "spent": 61_000_000_000, "reserved": 12_000_000,
    "projected": 96_400_000_000, "step": None, "steps": ["70% warn", "100% refuse"],
    "starts_ms": 1_793_491_200_000, "ends_ms": 1_796_083_200_000,
}  # fmt: skip
ROW = {
    "id": "0f3c9a7be2d94f1fb4b0a53f1d6a1c55", "at_ms": 1_795_527_000_123,
    "path": "/v1/chat/completions", "model": "gpt-4o-mini", "stream": True, "key": "ci",
    "team": "research", "route": "everything", "policy": "auto", "upstream": "default",
    "compressor": "auto", "outcome": "shortened", "reason": "", "status": 200,
    "tokens_before": 1407, "tokens_after": 209, "cache": "hit", "added_ms": 5.1, "recovered": 2,
    "nano_usd": 76_200, "saved_nano_usd": 179_700, "has_text": True,
}  # fmt: skip
SEGMENT = {
    "index": 3, "kind": "document", "place": "messages[1].content", "start": 120, "tokens": 210,
    "asked": 63, "got": 61, "reason": "sentences by BM25 against the question",
}  # fmt: skip
TEXT = "The bridge was built by Mott & Sons. It rains there."
EDIT = {
    "start": 0, "end": 16, "was": "The Forth", "now": "The Forth Bridge",
    "source": {"segment": 3, "start": 40, "end": 56}, "why": "a name cut short",
}  # fmt: skip
TRIAL = {
    "is_body": False, "compressed": "The bridge was built by Mott & Sons.",
    "segments": [
        {
            **SEGMENT, "found": "the whole text", "text": TEXT, "kept": [[0, 36]],
            "words": [
                {"start": 0, "end": 3, "kept": True, "score": 0.2},
                {"start": 37, "end": 39, "kept": False, "score": None},
            ],
        }
    ],
    "order": [], "compressor": "auto", "scored": "", "tokens_before": 13, "tokens_after": 9,
    "asked": 9, "model": "gpt-4o-mini", "nano_usd_before": 1950, "nano_usd_after": 1350,
    "why_whole": "", "milliseconds": {"split": 0.3, "plan": 0.4, "compress": 2.0, "all": 2.9},
}  # fmt: skip
REPLY = {
    "ok": True, "status": 200, "error": "", "text": "The Forth was built by Mott & Sons.",
    "restored": "The Forth Bridge was built by Mott & Sons.", "edits": [EDIT], "input_tokens": 209,
    "output_tokens": 12, "nano_usd": 38_550, "milliseconds": 812.4,
}  # fmt: skip
COUNTED = [{"what": "shortened", "requests": 2}]
EXAMPLES: dict[str, Any] = {
    "Session": {"access": "open", "why": "", "may_make_keys": False, "version": "0.1.0"},
    "Overview": {
        "window": "day", "span": "last", "by": "route", "starts_ms": 1_795_440_600_000,
        "ends_ms": 1_795_527_000_000, "bucket_ms": 43_200_000,
        "starts": [1_795_440_600_000, 1_795_483_800_000],
        "totals": FIGURES, "groups": [{"group": "everything", **FIGURES}],
        "series": [
            {
                "group": "everything", "rest": False, "requests": [0, 2],
                "tokens_before": [0, 2814], "tokens_after": [0, 418],
                "nano_usd": [0, 152_400], "saved_nano_usd": [0, 359_400],
            }
        ],
        "outcomes": COUNTED,
        "failed_open": [{"what": "compress deadline", "requests": 1}],
        "untouched": [{"what": "84 tokens are fewer than min_tokens (300)", "requests": 4}],
        "cache": {"uses": [{"what": "hit", "requests": 1}], "hit_rate": 1.0,
                  "depths": [{"what": "plan", "requests": 1}], "gate": []},
        "steps": [{"step": "added", "requests": 2, "p50": 5.1, "p95": 511.0, "p99": 511.0}],
        "recovered": 2,
        "budgets": {"levels": [LEVEL], "store_down": False},
    },
    "Levels": {"levels": [LEVEL], "store_down": False},
    "Requests": {
        "requests": [ROW],
        "next": "1795527000123.0f3c9a7be2d94f1fb4b0a53f1d6a1c55",
        "facets": {
            "team": ["research"], "route": ["everything"], "policy": ["auto"],
            "model": ["gpt-4o-mini"], "outcome": ["shortened", "failed open"],
        },
    },
    "RequestDetail": {
        "row": ROW,
        "receipt": {"request_id": ROW["id"], "asked": 211, "cost_basis": "measured"},
        "milliseconds": {"read": 0.4, "abridge": 4.0, "split": 2.1, "store": 0.3, "restore": 0.7},
        "segments": [SEGMENT],
        "more_segments": 0,
        "text": {
            "until_ms": 1_795_530_600_123,
            "segments": [
                {"index": 3, "kind": "document", "found": "label 'Document [1]'", "text": TEXT,
                 "kept": [[0, 36]]}
            ],
            "order": [],
            "answers": [
                {"place": "choices[0].message.content", "came": "The Forth, by Mott & Sons.",
                 "restored": "The Forth Bridge, by Mott & Sons.", "edits": [EDIT]}
            ],
        },
        "why_no_text": "",
    },
    "Event": {"requests": [ROW], "missed": 0},
    "TrialResult": TRIAL,
    "Comparison": {"trial": TRIAL, "raw": {**REPLY, "edits": []}, "compressed": REPLY},
    "Policies": {
        "policies": [
            {"name": "auto", "compressor": "auto", "target": "rate 0.5", "yaml": "rate: 0.5\n",
             "settings": {"compressor": "auto", "rate": 0.5}, "routes": ["everything"]}
        ],
        "routes": [{"name": "everything", "matches": [], "policy": "auto", "upstream": "default"}],
        "upstreams": [
            {"name": "default", "url": "https://api.openai.com/v1", "key": "caller's",
             "models": ["gpt-4o-mini"]}
        ],
        "compressors": ["off", "lossless", "extractive", "auto"],
    },
    "Explained": {
        "tries": [
            {"route": "rag", "fits": False, "chosen": False,
             "why": "model is 'o3', not 'gpt-4o*'"},
            {"route": "everything", "fits": True, "chosen": True, "why": "fits every request"},
        ],
        "route": "everything", "policy": "auto", "upstream": "default",
        "why": "route 2 'everything': fits every request", "note": "", "trial": TRIAL,
    },
    "DryRun": {
        "policy": "extractive, rate 0.3",
        "rows": [
            {"id": ROW["id"], "at_ms": ROW["at_ms"], "route": "everything", "tokens_before": 1407,
             "tokens_then": 209, "tokens_now": 422, "saved_nano_usd_then": 179_700,
             "saved_nano_usd_now": 147_750, "how": "reckoned", "note": ""}
        ],
        "totals": {
            "requests": 1, "compressed": 0, "tokens_before": 1407, "tokens_then": 209,
            "tokens_now": 422, "saved_nano_usd_then": 179_700, "saved_nano_usd_now": 147_750,
        },
        "skipped": [{"what": "no prompt was counted", "requests": 3}],
    },
}  # fmt: skip
"""By the name of the shape."""
ASKED: dict[str, Any] = {
    "Login": {"key": "the admin key"},
    "Trial": {"text": TEXT, "compressor": "auto", "rate": 0.5, "question": "Who built it?"},
    "Question": {"text": TEXT, "upstream": "default", "model": "gpt-4o-mini", "tokens": 9},
    "Pasted": {"body": '{"model": "o3", "messages": []}', "headers": {"x-app": "search"}},
    "ChangedPolicy": {"policy": "compressor: extractive\nrate: 0.3\n", "instead_of": "auto"},
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_answer_has_the_shape_it_promises(name: str) -> None:
    shape = TypeAdapter(getattr(page, name))
    assert shape.dump_python(shape.validate_python(EXAMPLES[name]), mode="json") == EXAMPLES[name]


@pytest.mark.parametrize("name", ASKED)
def test_each_body_is_understood(name: str) -> None:
    shape = getattr(page, name)
    assert shape.model_validate(ASKED[name]).model_dump(exclude_unset=True) == ASKED[name]


def test_a_trial_has_one_target() -> None:
    with pytest.raises(ValidationError, match="not both"):
        page.Trial(text="x", rate=0.5, tokens=10)
