"""Errors name place, value, limit and what was probably meant."""

from __future__ import annotations

from unabridged.policies.policy import Completions, Provider
from unabridged.policies.problem import (
    ConfigError,
    Problem,
    dotted,
    meant,
    shown,
    without_password,
)


def test_a_problem_reads_as_file_line_key_message() -> None:
    problem = Problem(file="u.yaml", line=14, place=("policies", "fast", "rate"), message="no")
    assert str(problem) == "u.yaml:14: policies.fast.rate: no"


def test_a_problem_of_a_whole_file_has_no_line() -> None:
    assert str(Problem(file="u.yaml", line=0, place=(), message="no")) == "u.yaml: no"


def test_the_problems_of_a_file_stand_in_the_order_of_its_lines() -> None:
    late = Problem(file="u.yaml", line=9, place=(), message="late")
    early = Problem(file="u.yaml", line=2, place=(), message="early")
    assert str(ConfigError([late, early])) == "u.yaml:2: early\nu.yaml:9: late"


def test_list_positions_are_written_in_brackets() -> None:
    assert dotted(("routes", 0, "match", "model")) == "routes[0].match.model"
    assert dotted(()) == ""


def test_the_password_of_a_url_is_never_shown() -> None:
    assert "hunter2" not in shown("redis://me:hunter2@cache:6379")


def test_a_long_value_is_shortened() -> None:
    assert len(shown("x" * 1000)) == 60


def test_a_slip_names_the_nearest_word_and_anything_else_the_whole_list() -> None:
    assert meant("compresser", ["compressor", "rate"]) == "did you mean 'compressor'?"
    assert meant("zzz", ["compressor", "rate"]) == "known: compressor, rate"
    assert meant("zzz", []) == "known: none"


def test_a_url_is_shown_without_its_password() -> None:
    assert without_password("https://me:hunter2@h:1/v1") == "https://h:1/v1"
    assert without_password("https://h/v1@2") == "https://h/v1@2"
    scorer = Completions(url="http://me:p@ss@gpu/v1", model="m")
    assert str(scorer) == "m at http://gpu/v1"
    assert str(Provider(litellm="m", url="http://me:pass@h")) == "m at http://h"
