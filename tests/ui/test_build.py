"""What is served is what the source says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "unabridged/proxy/page"


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_page_that_is_served_is_the_one_that_the_source_gives(tmp_path: Path) -> None:
    command = ["npx", "vite", "build", "--outDir", str(tmp_path / "page"), "--logLevel", "error"]
    subprocess.run(command, cwd=ROOT / "page", check=True, timeout=180)
    assert files(BUILT) == files(tmp_path / "page"), "run `make page` and commit what it writes"


def test_the_source_is_typed() -> None:
    subprocess.run(["npx", "tsc", "--noEmit"], cwd=ROOT / "page", check=True, timeout=180)


def test_the_shapes_of_the_api_are_those_of_the_proxy() -> None:
    command = [sys.executable, str(ROOT / "page/contract.py")]
    written = subprocess.run(command, check=True, capture_output=True, timeout=60, text=True).stdout
    assert written == (ROOT / "page/src/contract.ts").read_text("utf-8"), "run `make page`"


def test_nothing_is_loaded_from_elsewhere_and_nothing_stands_inline() -> None:
    for name, body in files(BUILT).items():
        if name.endswith((".html", ".css")):
            text = body.decode()
            assert "http" not in text.replace("http://www.w3.org/", ""), name
            assert "<style" not in text and "style=" not in text
    assert "<script>" not in (BUILT / "index.html").read_text("utf-8")


def test_the_lock_file_names_no_host() -> None:
    assert '"resolved"' not in (ROOT / "page/package-lock.json").read_text("utf-8")
