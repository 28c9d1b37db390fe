"""What is opened once goes on, whatever the configuration becomes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import config_for, serving
from fake_upstream import DONE, FakeUpstream, delta, events
from page_client import soon

from unabridged.compression.tokens import _encoding_counter
from unabridged.proxy.app import App
from unabridged.proxy.servable import NotServable
from unabridged.proxy.serve import assemble

URL = "http://127.0.0.1:1/v1"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = assemble(config_for(URL), state_dir=tmp_path, environment={"KEY": "sk-1"})
    yield made
    made.stop()


def test_another_configuration_keeps_what_was_opened_and_upstreams_that_are_as_they_were(
    app: App,
) -> None:
    second = {"default": {"url": URL}, "second": {"url": URL, "api_key_env": "KEY"}}
    more = config_for(URL, upstreams=second)
    renewed = app.renew(more)
    assert renewed.config == renewed.exchange.config == renewed.sidecar.config == more
    assert renewed.exchange.money.config == more
    for part in ("abridge", "receipts", "tracing"):
        assert getattr(renewed.exchange, part) is getattr(app.exchange, part)
    assert renewed.sidecar.originals is app.sidecar.originals
    before, after = app.exchange.upstreams.members, renewed.exchange.upstreams.members
    assert (list(before), list(after)) == (["default"], ["default", "second"])
    assert after["default"] is before["default"]
    assert after["second"].key == "sk-1"
    slower = config_for(URL, upstream={"idle_seconds": 7})
    assert app.renew(slower).exchange.upstreams.members["default"] is not before["default"]


def test_a_configuration_that_cannot_be_served_takes_no_place(app: App) -> None:
    with pytest.raises(NotServable, match="NO_SUCH_KEY"):
        app.renew(config_for(URL, upstream={"api_key_env": "NO_SUCH_KEY"}))
    members = app.exchange.upstreams.members
    assert app.renew(app.config).exchange.upstreams.members["default"] is members["default"]


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
