"""The key file names who may call; a secret is never kept, and never accepted by half."""

from __future__ import annotations

from pathlib import Path

import pytest

from unabridged.proxy.errors import BadKey
from unabridged.proxy.keys import BadKeyFile, Key, Keys, load_keys

SECRET = "s" * 31 + "1"
OTHER = "s" * 31 + "2"


def key_file(path: Path, text: str, mode: int = 0o600) -> Path:
    file = path / "keys"
    file.write_text(text)
    file.chmod(mode)
    return file


@pytest.mark.parametrize(
    "headers",
    [{"authorization": f"Bearer {SECRET}"}, {"authorization": f"bearer  {SECRET} "},
     {"api-key": SECRET}, {"x-api-key": SECRET}],
)  # fmt: skip
def test_a_key_is_found_wherever_clients_put_it(tmp_path: Path, headers: dict[str, str]) -> None:
    keys = load_keys(key_file(tmp_path, f"# ours\n\nann red {SECRET}\nbob blue {OTHER}\n"))
    assert keys.caller(headers) == Key(name="ann", team="red")


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer "}, {"authorization": SECRET}, {"authorization": "Basic x"},
     {"authorization": f"Bearer {SECRET}x"}, {"authorization": f"Bearer {SECRET[:-1]}"},
     {"api-key": "\udcff"}],
)  # fmt: skip
def test_anything_else_is_refused_without_repeating_it(headers: dict[str, str]) -> None:
    with pytest.raises(BadKey) as error:
        Keys({SECRET: Key(name="ann", team="red")}).caller(headers)
    assert SECRET[:10] not in str(error.value)


def test_no_secret_is_kept_in_memory() -> None:
    keys = Keys({SECRET: Key(name="ann", team="red")})
    assert SECRET not in repr(vars(keys))
    assert all(len(digest) == 32 for digest, _ in keys._known)


@pytest.mark.parametrize(
    "text, said",
    [("ann red short", "keys:1: the secret of 'ann' has 5 characters"),
     (f"ann {SECRET}", "keys:1: a line is NAME TEAM SECRET, not 2 words"),
     (f"ann red {SECRET}\nann red {OTHER}", "keys:2: the name or the secret of 'ann' stands twice"),
     (f"ann red {SECRET}\nbob red {SECRET}", "keys:2"),
     ("# none\n", "holds no key")],
)  # fmt: skip
def test_a_wrong_line_is_named_without_its_secret(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadKeyFile) as error:
        load_keys(key_file(tmp_path, text))
    assert said in str(error.value)
    assert SECRET not in str(error.value)


def test_a_file_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadKeyFile, match="chmod 600"):
        load_keys(key_file(tmp_path, f"ann red {SECRET}", 0o644))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadKeyFile, match="nowhere: the key file cannot be read"):
        load_keys(tmp_path / "nowhere")
