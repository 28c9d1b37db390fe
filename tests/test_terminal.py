"""Commands read and write exactly."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from unabridged import terminal
from unabridged.policies.problem import ConfigError, Problem


def test_a_file_is_read_with_its_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("가\r\nb\n".encode())
    assert terminal.read(str(path)) == "가\r\nb\n"


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("日本\r\n".encode())))
    assert terminal.read("-") == "日本\r\n"


def test_what_is_not_text_is_named_with_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"ab\xff")
    with pytest.raises(terminal.NotText, match=r"a\.bin: not UTF-8 text \(byte 2\)"):
        terminal.read(str(path))


def test_text_is_written_as_it_is(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    terminal.write("가\r\nb")
    assert capfdbinary.readouterr().out == "가\r\nb".encode()


def test_json_keeps_its_letters(capfd: pytest.CaptureFixture[str]) -> None:
    terminal.write_json({"a": "가"})
    assert capfd.readouterr().out == '{"a": "가"}\n'


def test_the_lines_of_a_bad_configuration_are_shown_as_they_are() -> None:
    problem = Problem(file="u.yaml", line=3, place=("server",), message="no")
    assert terminal.one_line(ConfigError([problem])) == "u.yaml:3: server: no"


def test_other_errors_say_who_speaks() -> None:
    error = terminal.NotText("a.bin: not UTF-8 text")
    assert terminal.one_line(error) == "unabridged: a.bin: not UTF-8 text"


def test_an_error_of_the_system_names_the_file() -> None:
    error = FileNotFoundError(2, "No such file or directory", "x.txt")
    assert terminal.one_line(error) == "unabridged: x.txt: No such file or directory"


def test_a_fault_of_ours_says_how_to_see_where() -> None:
    said = terminal.one_line(KeyError("x"))
    assert said == "unabridged: unexpected KeyError: 'x' (UNABRIDGED_DEBUG=1 shows where)"


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_wait_ends_when_it_is_asked_to_and_puts_the_signals_back(asked: signal.Signals) -> None:
    before = signal.getsignal(asked)
    threading.Timer(0.1, os.kill, (os.getpid(), asked)).start()
    terminal.until_interrupted()
    assert signal.getsignal(asked) is before
