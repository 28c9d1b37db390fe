"""What must not be cut inside is found, in reasonable time."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.kept import disjoint, valid
from unabridged.compression.protect import (
    always,
    code_lines,
    fences,
    forced,
    is_json,
    objects,
    whole,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("paid $1,200.50 today", "$1,200.50"),
        ("weighs 35 kg now", "35 kg"),
        ("about 3.5 million people", "3.5 million"),
        ("on May 12, 2020 there", "May 12, 2020"),
        ("on 12 May 2020 there", "12 May 2020"),
        ("在2019年5月3日出生", "2019年5月3日"),
        ("값은 100만원 이다", "100만원"),
        ("see https://x.org/a?b=1&c=2 there", "https://x.org/a?b=1&c=2"),
        ("mail a.b+c@d-e.org now", "a.b+c@d-e.org"),
        ("in /usr/lib/x.so we", "/usr/lib/x.so"),
        ("in C:\\dir\\file.txt we", "C:\\dir\\file.txt"),
        ("call os.path.join() there", "os.path.join()"),
        ("the max_tokens_2 field", "max_tokens_2"),
        ("with GPT-4 today", "GPT-4"),
        ("run `rm -rf x` now", "`rm -rf x`"),
        ('he said "never again" then', '"never again"'),
        ("他说「不知道」了", "「不知道」"),
        ('got {"a": [1, 2], "b": "x y"} back', '{"a": [1, 2], "b": "x y"}'),
        ("50% off", "50%"),
    ],
)
def test_a_protected_stretch_is_found_whole(text: str, expected: str):
    start = text.index(expected)
    assert any(a <= start and start + len(expected) <= b for a, b in whole(text))


def test_plain_words_are_not_protected():
    assert whole("The quick brown fox jumps over the lazy dog, again and again.") == ()
    assert whole("빠른 갈색 여우가 게으른 개를 뛰어넘는다.") == ()
    assert whole("敏捷的棕色狐狸跳过了懒狗。") == ()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("You must not go", "not"),
        ("You must not go", "must"),
        ("I don’t know", "don’t"),
        ("나는 안 간다", "안"),
        ("먹지 않았다", "않았다"),
        ("그것은 없다", "없다"),
        ("我不知道", "不"),
        ("彼は行かない", "ない"),
        ("لا أعرف", "لا"),
        ("я не знаю", "не"),
        ("das ist nicht wahr", "nicht"),
    ],
)
def test_negations_and_modals_are_always_kept(text: str, word: str):
    start = text.index(word)
    assert any(a <= start and start + len(word) <= b for a, b in always(text))


def test_an_adverb_that_only_begins_like_a_negation_is_none():
    assert always("a notable knot in the north, mustard") == ()


def test_policy_patterns_are_added():
    assert forced("keep THIS and THAT", ["TH.."]) == ((5, 9), (14, 18))
    assert whole("one big thing here", ["big thing"]) == ((4, 13),)
    assert always("keep THIS", ["THIS"]) == ((5, 9),)


def test_fences_pair_and_an_open_one_runs_to_the_end():
    text = "a\n```py\nx = 1\n~~~\n```\nb\n```\nend"
    assert [text[a:b] for a, b in fences(text)] == ["```py\nx = 1\n~~~\n```", "```\nend"]


def test_json_that_does_not_parse_is_not_json():
    assert is_json(' {"a": 1} ')
    assert not is_json("{a: 1}")
    assert not is_json('"text"')
    assert objects('{"a": 1} {broken') == ((0, 8),)
    assert is_json("[" * 100_000) is False


@given(st.text(max_size=300))
def test_spans_are_valid_for_any_text(text: str):
    assert valid(whole(text), len(text))
    assert valid(always(text), len(text))


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "한",
        "1",
        "1,",
        " ",
        "a.",
        '"',
        '" ',
        "漢",
        "```\n",
        "`a",
        "/a",
        '{"',
        '["a",',
        "“",
        "a@",
        "1年",
        "1 ",
    ],
)
def test_hostile_texts_take_linear_time(unit: str):
    text = unit * (50_000 // len(unit))
    start = time.perf_counter()
    whole(text)
    always(text)
    assert time.perf_counter() - start < 3


@pytest.mark.parametrize(
    "code",
    [
        '```python\ndef f(x):\n\tif x < 0:\n\t\traise ValueError("low")\n\treturn x\n```',
        '{"name": "Röntgen", "said": ["a b", 1], "path": "C:\\\\x"}',
    ],
)
def test_code_and_json_are_found_in_the_inside_of_a_json_string(code: str):
    inside = json.dumps(f"Look at it:\n\n{code}\n\nThat is all.")[1:-1]
    written = json.dumps(code)[1:-1]
    start = inside.index(written)
    assert any(a <= start and start + len(written) <= b for a, b in whole(inside, escaped=True))


@given(st.text(alphabet='a `{}[]":,\n\t\\u00é=(;').map(lambda text: json.dumps(text)[1:-1]))
def test_no_escape_lies_on_the_border_of_what_is_found_in_a_json_string(inside: str):
    found = code_lines(inside, escaped=True)
    assert valid(disjoint(found), len(inside))
    for span in found:
        assert isinstance(json.loads(f'"{inside[slice(*span)]}"'), str)


def test_a_line_of_a_program_in_a_json_string_is_one_piece():
    lines = ["def total(rows):", "    left = rows[0] + 1", "    return left"]
    inside = json.dumps("\n".join(lines))[1:-1]
    found = code_lines(inside, escaped=True)
    assert [inside[a:b] for a, b in found] == [lines[0], "\\n" + lines[1], "\\n" + lines[2]]
