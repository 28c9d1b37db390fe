"""Looks at everything that the proxy needs, and at why the last requests saved nothing."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

from unabridged.policies.config import Config, Upstream
from unabridged.proxy.cache import Breaker, RedisCache, StoreDown, client
from unabridged.proxy.store import RECEIPTS, EmbeddedStore, StoreNotStarted, store_url
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
    """Look at policies, models, upstreams, store and receipts. Starts the embedded store if it
    does not run, and then ends it; sends one GET to each upstream. `models` is the model cache."""
    names = ", ".join(sorted(config.policies))
    findings = [Finding(what="policies", well=True, said=f"valid: {names}")]
    findings += _weights(config, models)
    for name, upstream in config.upstreams.items():
        findings.append(_upstream(name, upstream, environment))
    url = store_url(config.store, environment)
    try:
        with _store(url, state_dir) as cache:
            cache.ping()
            kind = "REDIS_URL or store.url" if url else f"embedded, in {state_dir / 'store'}"
            findings.append(Finding(what="store", well=True, said=f"answers ({kind})"))
            findings.append(look_back([json.loads(x) for x in cache.newest(RECEIPTS, LAST)]))
    except (StoreDown, StoreNotStarted, ValueError) as error:
        advice = "check REDIS_URL or store.url" if url else f"check {state_dir / 'store'}"
        said = f"does not answer ({error}); {advice}. Requests go through without it"
        findings.append(Finding(what="store", well=False, said=said))
    return findings


def look_back(records: list[dict[str, Any]]) -> Finding:
    """What the receipts of the last requests (newest first) say about those that saved nothing."""
    what = "last requests"
    if not records:
        return Finding(what=what, well=True, said="none are on record yet")
    unsaved = [r for r in records if r.get("got", 0) >= r.get("before", 0)]
    said = f"{len(records) - len(unsaved)} of the last {len(records)} were shortened"
    reasons = Counter(_reason(record) for record in unsaved)
    said += "".join(f"\n{times} x {reason}" for reason, times in reasons.most_common())
    failed = any(record.get("failed_step") for record in records)
    return Finding(what=what, well=not failed, said=said)


def _reason(record: Mapping[str, Any]) -> str:
    fallback = "nothing could be cut" if record.get("before") else "not a prompt, or policy off"
    policy = f" (policy {record['policy']!r})" if record.get("policy") else ""
    return str(record.get("reason") or fallback) + policy


def _weights(config: Config, home: Path) -> Iterator[Finding]:
    users: dict[str, list[str]] = {}
    for name, policy in config.policies.items():
        if policy.compressor not in MODEL_FREE:
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


@contextmanager
def _store(url: str | None, state_dir: Path) -> Iterator[RedisCache]:
    stop: Callable[[], None] | None = None
    if url is None:
        embedded = EmbeddedStore(state_dir)
        embedded.start()
        url, stop = embedded.url, embedded.stop
    try:
        yield RedisCache(client(url, timeout_ms=int(PATIENCE_SECONDS * 1000)), Breaker())
    finally:
        if stop is not None:
            stop()
