"""Only a tenant's own texts are learnt from, and only where and while its policy allows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from conftest import Proxy
from fake_upstream import FakeUpstream
from page_client import soon
from receipt_world import NOW, TEXT, book, detail, receipt
from typer.testing import CliRunner

from unabridged import train
from unabridged.proxy.receipt_book import ReceiptBook
from unabridged.proxy.training_texts import training_texts

TENANT = "org a team b"


def texts(kept: ReceiptBook, tenant: str = TENANT, *, later: float = 0) -> list[dict[str, str]]:
    now = datetime.fromtimestamp(NOW + later, UTC)
    return list(training_texts(kept.engine, kept.texts, tenant=tenant, now=now))


def test_a_text_is_given_once_with_its_tenant_and_its_end(database: str) -> None:
    kept = book(database)
    own = detail(keep_seconds=60, may_train=True)
    kept.write([(receipt(1), own), (receipt(2), own)])
    rows = texts(kept)
    assert all(row["text"] in TEXT and "Question" not in row["text"] for row in rows)
    assert len({row["text"] for row in rows}) == len(rows) > 0
    assert {row["tenant"] for row in rows} == {TENANT}
    assert datetime.fromisoformat(rows[0]["until"]) == datetime.fromtimestamp(NOW + 61, UTC)


@pytest.mark.parametrize(
    ("allowed", "tenant", "later"),
    [(False, TENANT, 0), (True, "org a team c", 0), (True, TENANT, 62)],
)
def test_nobody_elses_and_none_without_leave_or_past_its_time(
    database: str, allowed: bool, tenant: str, later: float
) -> None:
    kept = book(database)
    kept.write([(receipt(1), detail(keep_seconds=60, may_train=allowed))])
    assert texts(kept, tenant, later=later) == []


def test_the_command_takes_what_a_running_proxy_has_kept(
    upstream: FakeUpstream,
    serve: Callable[..., Proxy],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home, out = tmp_path / "home", tmp_path / "texts.jsonl"
    policy = {"compressor": "extractive", "min_tokens": 0, "keep_text_seconds": 600}
    allowing = {"fake": {**policy, "train_on_text": True}, "silent": policy}
    proxy = serve(policies=allowing, state_dir=home)
    for name, town in (("fake", "Lennep"), ("silent", "Würzburg")):
        said = TEXT.replace("street", town)
        body = {"model": "m", "messages": [{"role": "user", "content": said}]}
        headers = {"x-unabridged-policy": name}
        httpx.post(f"{proxy.url}/chat/completions", json=body, headers=headers, timeout=20)
    monkeypatch.setenv("UNABRIDGED_HOME", str(home))
    how = ["collect", "--tenant", "loopback", "--out", str(out)]
    soon(lambda: CliRunner().invoke(train.app, how).exit_code == 0)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert any("Lennep" in row["text"] for row in rows)
    assert not any("Würzburg" in row["text"] for row in rows)
    assert out.stat().st_mode & 0o077 == 0
    assert list(train.read_rows(out)) == rows
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    out.write_text("\n".join(json.dumps({**row, "until": past}) for row in rows))
    assert list(train.read_rows(out)) == []
