"""The proxy is put together from a configuration, and refuses what is unsafe."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from conftest import RUN, config_for, serving
from fake_upstream import DONE, FakeUpstream, delta, events
from page_client import soon

from unabridged.compression.tokens import _encoding_counter
from unabridged.proxy.serve import NotServable, assemble, state_home


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "proxy.example"])
def test_an_open_proxy_is_never_bound_to_other_addresses(tmp_path: Path, host: str) -> None:
    config = config_for("http://127.0.0.1:1/v1", server={"host": host})
    with pytest.raises(NotServable, match=r"server\.keys_file"):
        assemble(config, state_dir=tmp_path, environment={})
    assert not (tmp_path / "store").exists()


def test_a_missing_operator_key_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    config = config_for("http://127.0.0.1:1/v1", upstream={"api_key_env": "NO_SUCH_KEY"})
    with pytest.raises(NotServable, match=r"NO_SUCH_KEY.*upstreams\.default\.api_key_env"):
        assemble(config, state_dir=tmp_path, environment={})
    assert not (tmp_path / "store").exists()


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


def test_tokenizers_are_loaded_before_it_is_ready(upstream: FakeUpstream, tmp_path: Path) -> None:
    """Loading one holds up everything else, and streams that pass through are counted, too."""
    loaded = _encoding_counter.cache_info
    _encoding_counter.cache_clear()
    with serving(config_for(upstream.url, policy="off"), tmp_path, models=tmp_path) as proxy:
        soon(lambda: httpx.get(proxy.root + "/readyz").status_code == 200)
        assert loaded().currsize == 1
        upstream.reply(events(delta("word "), DONE))
        asked = {"model": "m", "messages": [], "stream": True}
        httpx.post(proxy.url + "/chat/completions", json=asked)
        proxy.receipt()
    assert loaded().currsize == 1


def test_two_assemblies_share_nothing(upstream: FakeUpstream, tmp_path: Path) -> None:
    config = config_for(upstream.url, policy="off")
    before = threading.active_count()
    one = assemble(config, state_dir=tmp_path / "1", environment={})
    two = assemble(config, state_dir=tmp_path / "2", environment={})
    assert one.exchange.receipts is not two.exchange.receipts
    first, second = (app.exchange.abridge.shelf("acme/a").tag for app in (one, two))
    assert first != second
    for app in (one, two):
        app.stop()
    end = time.monotonic() + 3
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= before
