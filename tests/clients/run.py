"""Runs the tests of client libraries against a real proxy: python tests/clients/run.py [NAME...]

Environments, each of its own, with what stands in its lock: openai 2.x and what needs it, openai
3.x and what needs it, Node, and schemathesis. They are made under .clients/ (not in git) and made
anew when a lock changes. Ends with the sum of all tests.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).parent))

from world import world

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs" / "clients.md"
HOME = HERE.parents[1] / ".clients"
Counts = tuple[int, int]
"""Passed and failed."""


def fresh(name: str, *locks: Path) -> tuple[Path, bool]:
    """The directory of an environment, and whether it holds what the locks say."""
    place = HOME / name
    digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()
    mark = place / "made-from"
    if mark.is_file() and mark.read_text() == digest:
        return place, True
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place, False


def made(place: Path, *locks: Path) -> None:
    digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()
    (place / "made-from").write_text(digest)


def python(name: str, environment: dict[str, str]) -> Counts:
    lock = HERE / name / "requirements.txt"
    place, ready = fresh(name, lock)
    binary = place / "bin" / "python"
    if not ready:
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run(
            [str(binary), "-m", "pip", "install", "-qq", "--disable-pip-version-check",
             "--no-deps", "-r", str(lock)],
            check=True,
        )  # fmt: skip
        made(place, lock)
    report = place / "report.xml"
    report.unlink(missing_ok=True)
    files = sorted(map(str, (HERE / name).glob("*.py")))
    if name.startswith("openai"):
        files = [str(HERE / "openai_sdk.py"), str(HERE / "documented.py"), *files]
    subprocess.run(
        [str(binary), "-m", "pytest", "-c", str(HERE / "pytest.ini"), f"--junitxml={report}",
         *files],
        env={**environment, "UNABRIDGED_TEST_ENVIRONMENT": name}, timeout=900,
    )  # fmt: skip
    suites = list(ElementTree.parse(report).getroot()) if report.is_file() else []
    ran, bad = (
        sum(int(suite.get(what, "0")) for suite in suites for what in whats)
        for whats in (("tests",), ("failures", "errors"))
    )
    return (ran - bad, bad) if ran else (0, 1)


def node(name: str, environment: dict[str, str]) -> Counts:
    source = HERE / name
    locks = (source / "package.json", source / "package-lock.json")
    if shutil.which("node") is None or shutil.which("npm") is None:
        print("Node 20 or newer with npm is needed for the third environment")
        return 0, 1
    place, ready = fresh(name, *locks)
    if not ready:
        for lock in locks:
            shutil.copy(lock, place)
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=place, check=True
        )
        made(place, *locks)
    files = [shutil.copy(each, place) for each in sorted(source.glob("*.mjs"))]
    tests = [file for file in files if file.endswith(".test.mjs")]
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", *tests],
        cwd=place, env={**environment, "UNABRIDGED_TEST_DOCS": str(DOCS)}, timeout=900, text=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    counts = dict(re.findall(r"^# (pass|fail|cancelled) (\d+)$", done.stdout, re.MULTILINE))
    bad = int(counts.get("fail", 0)) + int(counts.get("cancelled", 0))
    if bad or not counts:
        print(done.stdout)
    passed = int(counts.get("pass", 0))
    return passed, bad if passed or bad else 1


ENVIRONMENTS: dict[str, Callable[[str, dict[str, str]], Counts]] = {
    "openai2": python,
    "openai3": python,
    "node": node,
    "schemas": python,
    "litellm_proxy": python,
}


def main() -> int:
    names = sys.argv[1:] or list(ENVIRONMENTS)
    passed = failed = 0
    with tempfile.TemporaryDirectory() as place, world(Path(place)) as running:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "PYTHON"))}
        environment = {**kept, **running.environment, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        for name in names:
            start = time.monotonic()
            print(f"== {name}", flush=True)
            good, bad = ENVIRONMENTS[name](name, environment)
            passed, failed = passed + good, failed + bad
            print(f"{name}: {good} of {good + bad}, {time.monotonic() - start:.0f} s", flush=True)
        log = (Path(place) / "proxy.log").read_text()
        if "Traceback" in log or '"level": "error"' in log:
            failed += 1
            print("the proxy had an error of its own:\n" + log[-3000:])
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
