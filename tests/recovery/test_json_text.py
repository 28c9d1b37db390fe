"""JSON is restored inside its string values and nowhere else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.recovery.index import Index
from unabridged.recovery.json_text import JsonRestorer, respell


def restored(text: str, index: Index) -> str:
    restorer = JsonRestorer(index)
    return restorer.feed(text) + restorer.flush()


def test_a_value_is_restored_and_a_key_is_not(index: Index) -> None:
    text = '{"Wilhelm Röntg": "Wilhelm Röntg", "n": 1.50, "ok": [true, null]}'
    assert restored(text, index) == (
        '{"Wilhelm Röntg": "Wilhelm Röntgen", "n": 1.50, "ok": [true, null]}'
    )


@pytest.mark.parametrize("written", [json.dumps, lambda v: json.dumps(v, ensure_ascii=False)])
def test_escapes_stay_as_they_were_written(written, index: Index) -> None:
    text = written({"said": 'He said "hi" \U00014647 to Wilhelm Röntg\n'})
    out = restored(text, index)
    assert out.startswith(text[: text.index("Wilhelm")])
    assert json.loads(out) == {"said": 'He said "hi" \U00014647 to Wilhelm Röntgen\n'}


@given(st.text(max_size=12), st.text(max_size=12))
def test_a_stretch_behind_any_escapes_is_the_one_replaced(before: str, after: str) -> None:
    for ascii_only in (True, False):
        raw = json.dumps(before + "X" + after, ensure_ascii=ascii_only)[1:-1]
        new = respell(raw, [(len(before), len(before) + 1, "Yé")])
        assert json.loads(f'"{new}"') == before + "Yé" + after


def test_how_it_is_chopped_changes_nothing(index: Index) -> None:
    text = json.dumps({"who": "Wilhelm Röntg", "of": ["the Treaty Gh", 1]})
    restorer = JsonRestorer(index)
    assert "".join(map(restorer.feed, text)) + restorer.flush() == restored(text, index)


def test_what_is_not_json_passes_as_it_came(index: Index) -> None:
    assert restored("not json: Wilhelm Röntg", index) == "not json: Wilhelm Röntg"
