"""What is unsafe or cannot work is refused before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import config_for

from unabridged.proxy.servable import NotServable
from unabridged.proxy.serve import assemble


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


@pytest.mark.parametrize(
    ("variable", "place"),
    [
        ("K", r"upstreams\.default\.api_key_env"),
        ("UNABRIDGED_ADMIN_KEY", r"money\.admin_key_env"),
        ("UNABRIDGED_METRICS_KEY", r"server\.metrics_key_env"),
    ],
)
def test_a_key_with_a_line_break_is_named_and_not_shown(
    tmp_path: Path, variable: str, place: str
) -> None:
    config = config_for("http://127.0.0.1:1/v1", upstream={"api_key_env": "K"})
    with pytest.raises(NotServable, match=f"{variable}.*{place}.*line break") as caught:
        assemble(config, state_dir=tmp_path, environment={"K": "hunter2", variable: "hunter2\n"})
    assert "hunter2" not in str(caught.value)
    assert not (tmp_path / "store").exists()
