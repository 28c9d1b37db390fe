"""The commands about money, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from unabridged.cli import app
from unabridged.money import BadArgument, seconds


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("UNABRIDGED_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("UNABRIDGED_CONFIG", "UNABRIDGED_DATABASE", "UNABRIDGED_SECRET"):
        monkeypatch.delenv(name, raising=False)

    def go(*words: str) -> Any:
        return CliRunner().invoke(app, list(words))

    return go


def test_a_key_is_made_listed_rotated_and_revoked(run: Any) -> None:
    made = run("keys", "create", "--name", "ci", "--org", "acme", "--expires", "90d")
    assert made.exit_code == 0
    secret = made.stdout.strip()
    assert secret.startswith("ub-")
    assert "not shown again" in made.stderr
    listed = run("keys", "list").stdout
    assert "ci" in listed
    assert "until" in listed
    assert secret not in listed
    rotated = json.loads(run("keys", "rotate", "ci", "--json").stdout)
    assert rotated["secret"] != secret
    assert run("keys", "revoke", "ci").exit_code == 0
    states = json.loads(run("keys", "list", "--json").stdout)["keys"]
    assert all(key["revoked_ms"] for key in states)
    assert run("keys", "revoke", "ci").exit_code == 1


def test_a_budget_is_set_shown_and_removed(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "budget.yaml"
    file.write_text("name: team\nlimit: 5\nunit: requests\nmatch: {team: a}\n")
    assert run("budgets", "set", "{name: org, limit: 100, at: {80%: {rate: 0.4}}}").exit_code == 0
    assert run("budgets", "set", f"@{file}").exit_code == 0
    shown = run("budgets", "list").stdout
    assert "80% rate 0.4" in shown
    assert "5 requests" in shown
    assert run("budgets", "remove", "org").exit_code == 0
    left = json.loads(run("budgets", "list", "--json").stdout)["budgets"]
    assert [budget["name"] for budget in left] == ["team"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("budgets", "set", "{name: a, limt: 1}"), "did you mean 'limit'?"),
        (("budgets", "set", "{name: a, limit: 1, at: {5%: {policy: nix}}}"), "unknown policy"),
        (("budgets", "set", "[1]"), "must be a mapping"),
        (("budgets", "remove", "none"), "no budget is named 'none'"),
        (("keys", "create", "--name", "a", "--policy", "nix"), "unknown policy 'nix'"),
        (("keys", "create", "--name", "a", "--expires", "soon"), "such as 90d"),
        (("spend", "--by", "teem"), "unknown group 'teem'"),
        (("spend", "--window", "year"), "unknown window 'year'"),
        (("spend", "--time-zone", "Mars"), "unknown time zone 'Mars'"),
    ],
)
def test_a_mistake_is_named(run: Any, words: tuple[str, ...], said: str) -> None:
    got = run(*words)
    assert got.exit_code == 1
    assert said in str(got.exception)


def test_a_report_of_nothing_is_a_report(run: Any) -> None:
    assert "total" in run("spend").stdout
    assert run("spend", "--csv").stdout.startswith("group,requests,nano_usd")


def test_times_are_written_with_their_unit() -> None:
    assert [seconds(text) for text in ("45s", "30m", "12h", "90d", "2w")] == [
        45,
        1800,
        43_200,
        7_776_000,
        1_209_600,
    ]
    for bad in ("", "90", "d", "-1d", "1y"):
        with pytest.raises(BadArgument):
            seconds(bad)
