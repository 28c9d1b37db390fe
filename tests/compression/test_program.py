"""Lines of code are told from lines of anything else, without a fence around them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.kept import valid
from unabridged.compression.program import program_lines

PYTHON = """import re
from pathlib import Path

LIMIT: int = 5


def read(path: Path) -> list[str]:
    found = [line for line in path.open() if line.strip()]
    if len(found) > LIMIT:
        raise ValueError(f"{path} is too long")
    return found
"""
TYPESCRIPT = """export function sum(values: number[]): number {
  let total = 0;
  for (const value of values) {
    total += value;
  }
  return total;
}
"""
LUA = """local spent = redis.call('GET', KEYS[1])
if tonumber(spent) > limit then
  return {0, spent}
end
"""
PROSE = [
    "The tide came in.\nNobody saw it come.\nIt went out again at noon.",
    "- return the book;\n- pay the fine (if there is one);\n- leave.",
    "(a) the supplier shall deliver the goods;\n(b) the buyer shall pay; and\n(c) both agree.",
    "Name: Ann\nAge: 7\nCity: Busan\nNote: for the time being, she stays",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "Question: who paid?\nAnswer: the council (in part).",
    "1. Import the goods.\n2. Return what is broken.\n3. Try again.",
    "등대지기는 매일 저녁 등불을 켰다.\n배들이 돌아왔다.\n",
    "if you return it,\nwhile it is whole,\nfor a friend or two,\ntry this one",
]


@pytest.mark.parametrize("text", [PYTHON, TYPESCRIPT, LUA], ids=["python", "typescript", "lua"])
def test_most_lines_of_a_program_are_found_each_by_itself(text: str) -> None:
    lines = [line for line in text.split("\n") if line.strip()]
    found = [text[a:b].lstrip("\n") for a, b in program_lines(text)]
    assert set(found) <= set(lines)
    assert len(found) > 0.7 * len(lines)


@pytest.mark.parametrize("text", PROSE)
def test_lists_tables_clauses_and_prose_are_no_program(text: str) -> None:
    assert program_lines(text) == []


def test_prose_around_a_program_stays_prose() -> None:
    text = f"{PROSE[0]}\n\n{PYTHON}\n\n{PROSE[2]}"
    found = program_lines(text)
    assert found
    assert all(len(PROSE[0]) <= a and b < len(text) - len(PROSE[2]) for a, b in found)


@given(st.text(alphabet=st.sampled_from("ab=(){};:.\n #\"'@[]<>"), max_size=200))
def test_spans_are_valid_for_any_text(text: str) -> None:
    assert valid(program_lines(text), len(text))


@pytest.mark.parametrize(
    "unit", ["a", "a=", "a(", "{", "x;\n", "if ", "a.", "= ", "(", "a[", "a: "]
)
def test_hostile_texts_take_linear_time(unit: str) -> None:
    text = unit * (50_000 // len(unit))
    start = time.perf_counter()
    program_lines(text)
    assert time.perf_counter() - start < 2
