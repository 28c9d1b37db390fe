"""Looks at everything that the proxy needs, and at why the last requests saved nothing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
from sqlalchemy.exc import SQLAlchemyError

from unabridged.policies.config import Config, Upstream
from unabridged.proxy.cache import StoreDown
from unabridged.proxy.database import database_url, open_database
from unabridged.proxy.overview import overview, reasons
from unabridged.proxy.page_answers import Overview
from unabridged.proxy.refusal import dollars
from unabridged.proxy.store import RECEIPTS, StoreNotStarted, open_store, store_url
from unabridged.proxy.weights import Source, UnknownSource, locate

PATIENCE_SECONDS = 5.0
"""Longest wait for a store or an upstream."""
LAST = 50
"""Requests that are looked back on."""
MODEL_FREE = ("off", "lossless", "extractive")
"""Compressors that need no weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was seen of one thing."""

    what: str
    well: bool
    said: str
    """What is so, and if it is not well, what to do. No key and no password."""


def examine(
    config: Config, *, state_dir: Path, models: Path, environment: Mapping[str, str] = os.environ
) -> list[Finding]:
    """Look at policies, a running proxy, models, upstreams, store, receipts and ledger. Starts the
    embedded store if it does not run, and then ends it; sends one GET to each upstream. `models`
    is the model cache."""
    names = ", ".join(sorted(config.policies))
    findings = [Finding(what="policies", well=True, said=f"valid: {names}")]
    findings.append(_proxy(config))
    findings += _weights(config, models)
    for name, upstream in config.upstreams.items():
        findings.append(_upstream(name, upstream, environment))
    url = store_url(config.store, environment)
    try:
        with open_store(url, state_dir) as cache:
            cache.ping()
            kind = "REDIS_URL or store.url" if url else f"embedded, in {state_dir / 'store'}"
            findings.append(Finding(what="store", well=True, said=f"answers ({kind})"))
            findings.append(look_back([json.loads(x) for x in cache.newest(RECEIPTS, LAST)]))
    except (StoreDown, StoreNotStarted, ValueError) as error:
        advice = "check REDIS_URL or store.url" if url else f"check {state_dir / 'store'}"
        said = f"does not answer ({error}); {advice}. Requests go through without it"
        findings.append(Finding(what="store", well=False, said=said))
    findings.append(_ledger(config, state_dir, environment))
    return findings


def _proxy(config: Config) -> Finding:
    """What a proxy says that runs where this configuration has it; there need not be one."""
    host, port = config.server.host, config.server.port
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    url = f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"
    try:
        said = httpx.get(url + "/healthz", timeout=PATIENCE_SECONDS).json()
        waits = httpx.get(url + "/readyz", timeout=PATIENCE_SECONDS).json()["waiting_for"]
    except (httpx.HTTPError, ValueError, KeyError):
        return Finding(what="proxy", well=True, said=f"none answers at {url}")
    if "config" in said:
        told = f"runs at {url} by an older configuration: {said['config']}, and so does `check`"
        return Finding(what="proxy", well=False, said=told)
    if waits:
        return Finding(what="proxy", well=True, said=f"at {url} waits for {', '.join(waits)}")
    return Finding(what="proxy", well=True, said=f"at {url} is ready")


def look_at(day: Overview) -> Finding:
    """The page's overview of the last day, in words."""
    totals = day["totals"]
    if not day["outcomes"] and not totals["requests"]:
        return Finding(what="last day", well=True, said="no requests")
    told = ", ".join(f"{one['requests']} {one['what']}" for one in day["outcomes"])
    saved, cost = totals["saved_nano_usd"], totals["nano_usd"]
    lines = [
        f"{totals['requests']} requests in the ledger; receipts: {told}",
        f"cost {dollars(cost['total'])}, saved {dollars(saved['total'])} net"
        f" (the median request: {dollars(round(saved['median'] or 0))},"
        f" {totals['saved_share'] or 0:.0%} of its prompt)",
    ]
    for step in day["steps"][:1]:
        times = ", ".join(f"{name} {step[name]:.1f}" for name in ("p50", "p95", "p99"))
        lines.append(f"added by us: {times} ms")
    if day["cache"]["hit_rate"] is not None:
        lines.append(f"found in the cache: {day['cache']['hit_rate']:.0%}")
    failed = [f"{one['requests']} x {one['what']}" for one in day["failed_open"]]
    lines += [f"failed open: {', '.join(failed)}"] if failed else []
    return Finding(what="last day", well=not failed, said="\n".join(lines))


def _ledger(config: Config, state_dir: Path, environment: Mapping[str, str]) -> Finding:
    url = database_url(config.money.database or environment.get("UNABRIDGED_DATABASE"), state_dir)
    try:
        engine = open_database(url)
        try:
            return look_at(overview(engine, now_ms=int(time.time() * 1000), view="day"))
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError, OSError) as error:
        shown = url.render_as_string(hide_password=True)
        said = f"{shown} cannot be read: {type(error).__name__} (money.database)"
        return Finding(what="ledger", well=False, said=said)


def look_back(records: list[dict[str, Any]]) -> Finding:
    """What the receipts of the last requests (newest first) say about those that saved nothing."""
    what = "last requests"
    if not records:
        return Finding(what=what, well=True, said="none are on record yet")
    unsaved = [r for r in records if r.get("got", 0) >= r.get("before", 0)]
    said = f"{len(records) - len(unsaved)} of the last {len(records)} were shortened"
    found = reasons((_reason(record), 1) for record in unsaved)
    said += "".join(f"\n{one['requests']} x {one['what']}" for one in found)
    failed = any(record.get("failed_step") for record in records)
    return Finding(what=what, well=not failed, said=said)


def _reason(record: Mapping[str, Any]) -> str:
    fallback = "nothing could be cut" if record.get("before") else "not a prompt, or policy off"
    policy = f" (policy {record['policy']!r})" if record.get("policy") else ""
    return str(record.get("reason") or fallback) + policy


def _weights(config: Config, home: Path) -> Iterator[Finding]:
    users: dict[str, list[str]] = {}
    for name, policy in config.policies.items():
        if policy.compressor not in MODEL_FREE and isinstance(policy.scorer, str):
            users.setdefault(policy.scorer, []).append(name)
    for source, policies in users.items():
        what = f"model {source}"
        try:
            place = locate(Source.parse(source), home)
        except UnknownSource as error:
            yield Finding(what=what, well=False, said=str(error))
            continue
        if place is not None:
            yield Finding(what=what, well=True, said=f"in {place}")
        else:
            said = f"not there, and policies {', '.join(policies)} need it: unabridged models pull"
            yield Finding(what=what, well=False, said=f"{said} {source}")


def _upstream(name: str, upstream: Upstream, environment: Mapping[str, str]) -> Finding:
    what = f"upstream {name}"
    key = environment.get(upstream.api_key_env) if upstream.api_key_env else None
    if upstream.api_key_env and not key:
        said = f"environment variable {upstream.api_key_env}, which api_key_env names, is not set"
        return Finding(what=what, well=False, said=said)
    if upstream.kind == "litellm":
        said = f"provider {upstream.provider}, through litellm; not asked, as that could cost"
        return Finding(what=what, well=True, said=said)
    url = upstream.url.rstrip("/") + "/models"
    headers = {"authorization": f"Bearer {key}"} if key else {}
    shown = httpx.URL(upstream.url).copy_with(username=None, password=None)
    try:
        status = httpx.get(url, headers=headers, timeout=PATIENCE_SECONDS).status_code
    except httpx.HTTPError as error:
        said = f"{shown} cannot be reached ({type(error).__name__}); check the URL and the network"
        return Finding(what=what, well=False, said=said)
    return Finding(what=what, well=_welcome(status, key), said=f"{shown} {_told(status, key)}")


def _welcome(status: int, key: str | None) -> bool:
    return status < 500 and not (status in (401, 403) and key)


def _told(status: int, key: str | None) -> str:
    if status in (401, 403):
        whose = "refuses the operator's key" if key else "wants a key, which callers bring"
        return f"answers and {whose} (status {status})"
    if status >= 400:
        return f"answers /models with status {status}; if requests fail, check the URL"
    return "answers"
