"""The proxy is put together from a configuration and run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from conftest import RUN, config_for
from fake_upstream import FakeUpstream

from unabridged.proxy.serve import state_home


def test_an_address_that_is_taken_is_named_and_nothing_goes_on(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = config_for("http://127.0.0.1:1/v1", server={"port": port})
        done = subprocess.run(
            [sys.executable, "-c", RUN, config.model_dump_json(), str(tmp_path / "s")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "REDIS_URL": ""},
        )
    assert f"NotServable: nothing can listen at 127.0.0.1:{port}" in done.stderr
    assert "server.port" in done.stderr
    found = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False)
    assert found.stdout == b""


def test_the_state_lies_where_the_environment_says() -> None:
    assert state_home({"UNABRIDGED_HOME": "/x"}) == Path("/x")
    assert state_home({}).name == "unabridged"


def test_serving_without_a_model_imports_neither_torch_nor_litellm(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    code = RUN.replace(
        "print(url, flush=True)",
        "__import__('threading').Timer(1.5, lambda: (print([m for m in ('torch', 'litellm',"
        " 'transformers') if m in sys.modules], flush=True),"
        " __import__('os').kill(__import__('os').getpid(), 15))).start()",
    )
    config = config_for(upstream.url, policies={"fake": {"compressor": "auto"}})
    done = subprocess.run(
        [sys.executable, "-c", code, config.model_dump_json(), str(tmp_path / "s")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "REDIS_URL": "", "UNABRIDGED_HOME": str(tmp_path / "no-models")},
    )
    assert done.stdout.strip() == "[]", done.stderr
