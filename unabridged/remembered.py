"""The commands about the cache: what it holds and how often it helps, warming it, dropping it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote

import typer

from unabridged import terminal

if TYPE_CHECKING:
    from rich.table import Table

    from unabridged.policies.config import Config
    from unabridged.proxy.app import App
    from unabridged.proxy.shelf import Shelves, Uses

PATHS = {
    "messages": "/v1/chat/completions",
    "input": "/v1/responses",
    "prompt": "/v1/completions",
}
"""Where a body is sent to, by the field that holds its prompt."""
MODELS_SECONDS = 120.0
"""Longest wait for models to be loaded before warming."""
PATIENCE_MS = 600_000
"""How long one request may take to be compressed beforehand."""

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="UNABRIDGED_CONFIG",
        metavar="FILE",
        help="Configuration file; without one, the shipped default is used.",
    ),
]
Tenant = Annotated[
    str,
    typer.Option(
        metavar="ORG/TEAM",
        help="Whose contexts, as in acme/research; ORG/* where a policy shares them in the "
        "organisation; loopback: callers without a key.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class NotWarmed(Exception):
    """A file holds what cannot be compressed beforehand; says which line and why."""


def _examples(*lines: str) -> str:
    return "Examples:\n\n" + "\n\n".join(f"  [cyan]unabridged {line}[/cyan]" for line in lines)


cache = typer.Typer(help="Contexts that were compressed once.", no_args_is_help=True)


@cache.command("stats", epilog=_examples("cache stats", "cache stats --json"))
def cache_stats(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Show what is remembered for each tenant, and how often it helped, by route."""
    with _shelves(config) as shelves:
        found = shelves.uses()
    if as_json:
        terminal.write_json({"tenants": [_record(uses) for uses in found]}, indent=2)
    elif not found:
        typer.echo("nothing is remembered")
    else:
        terminal.console().print(_table(found))


@cache.command(
    "warm", epilog=_examples("cache warm requests.jsonl", "cache warm faq.json --tenant acme/help")
)
def cache_warm(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A request body, or one on each line.")
    ],
    tenant: Tenant = "loopback",
    path: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Where they are sent to, such as /v1/messages; without it: by their `messages`, "
            "`input` or `prompt` to chat completions, responses or completions.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model of the requests that name none.")] = None,
    config: ConfigFile = None,
) -> None:
    """Compress requests beforehand, by the routes and policies they would have. Sends nothing."""
    from unabridged.proxy.serve import assemble, state_home

    settled = _config(config)
    asked = [_request(n, line, path, model) for n, line in enumerate(_lines(file), 1)]
    app = assemble(settled, state_dir=state_home(), output=io.StringIO())
    try:
        done = asyncio.run(_warm(app, settled, asked, tenant))
    finally:
        app.stop()
    said = ", ".join(f"{number} {how}" for how, number in sorted(done.items()))
    typer.echo(f"{len(asked)} requests for {tenant}: {said or 'none'}")


@cache.command("drop", epilog=_examples("cache drop --tenant acme/research"))
def cache_drop(tenant: Tenant, config: ConfigFile = None) -> None:
    """Forget all that is remembered for a tenant, on every proxy, at once."""
    with _shelves(config) as shelves:
        dropped = shelves.of(tenant).drop()
    typer.echo(f"{dropped} values of {tenant} are forgotten")


async def _warm(
    app: App, config: Config, asked: list[tuple[str, dict[str, Any]]], owner: str
) -> Counter[str]:
    """How many (path, body) were in the cache already, partly, or not."""
    from unabridged.policies.choose import Facts, choose
    from unabridged.proxy.surface import SURFACES

    done: Counter[str] = Counter()
    async with app.running():
        await _ready(app)
        for path, body in asked:
            choice = choose(config, Facts(path=path, model=body["model"], team=_team(owner)))
            patient = choice.policy.model_copy(update={"deadline_ms": PATIENCE_MS})
            if choice.policy.compressor == "off" or not patient.cache_seconds:
                done["not remembered by their policy"] += 1
                continue
            # As OpenAI's clients write it: the whole plan is remembered by the very characters.
            text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
            sent = await app.exchange.abridge(
                text,
                replace(choice, policy=patient),
                model=body["model"],
                owner=owner,
                surface=SURFACES[path].name,
            )
            done[_SAID.get(sent.cache, "failed") if not sent.failed_step else "failed"] += 1
    return done


async def _ready(app: App) -> None:
    """Raises NotWarmed."""
    end = time.monotonic() + MODELS_SECONDS
    while waiting := app.unready():
        if time.monotonic() > end:
            said = ", ".join(waiting)
            raise NotWarmed(f"models are not there after {MODELS_SECONDS:.0f} s: {said}")
        await asyncio.sleep(0.1)


def _team(owner: str) -> str | None:
    """That routes go by."""
    team = owner.partition("/")[2]
    return unquote(team) if team not in ("", "*") else None


_SAID = {"hit": "were known", "part": "compressed", "miss": "compressed"}


def _lines(file: str) -> Iterator[str]:
    text = terminal.read(file)
    try:
        json.loads(text)
    except ValueError:
        yield from filter(str.strip, text.splitlines())
    else:
        yield text


def _request(
    number: int, line: str, path: str | None, model: str | None
) -> tuple[str, dict[str, Any]]:
    """Where a request goes, and its body. Raises NotWarmed."""
    from unabridged.proxy.surface import SURFACES

    if path is not None and not (path in SURFACES and SURFACES[path].generates):
        known = ", ".join(known for known, surface in SURFACES.items() if surface.generates)
        raise NotWarmed(f"nothing that is sent to {path!r} is compressed; known: {known}")
    try:
        body = json.loads(line)
    except ValueError as error:
        raise NotWarmed(f"request {number} is not JSON: {error}") from None
    found = next((name for name in PATHS if isinstance(body, dict) and name in body), None)
    if found is None:
        names = ", ".join(f"`{name}`" for name in PATHS)
        raise NotWarmed(f"request {number} holds no prompt: it has none of {names}")
    if not isinstance(body.setdefault("model", model), str):
        raise NotWarmed(f"request {number} names no model: give one with --model")
    return path or PATHS[found], body


@contextlib.contextmanager
def _shelves(config: Path | None) -> Iterator[Shelves]:
    from unabridged.proxy.serve import state_home
    from unabridged.proxy.shelf import Shelves
    from unabridged.proxy.store import open_store, server_secret, store_url

    home = state_home()
    url = store_url(_config(config).store, os.environ)
    with open_store(url, home) as cache:
        yield Shelves(cache, server_secret(home, os.environ))


def _record(uses: Uses) -> dict[str, Any]:
    return {
        "tenant": uses.owner,
        "values": uses.values,
        "bytes": uses.bytes,
        "routes": [
            {"route": route, "hit_rate": round(hit_rate(counts), 4), **counts}
            for route, counts in sorted(uses.routes.items())
        ],
    }


def hit_rate(counts: Mapping[str, int]) -> float:
    """Share of the requests for which nothing had to be compressed."""
    asked = sum(number for use, number in counts.items() if use != "off")
    return counts.get("hit", 0) / asked if asked else 0.0


def _table(found: list[Uses]) -> Table:
    from rich.table import Table

    table = Table("tenant", "values", "kB", "route", "requests", "hit", "part", "miss", "hit rate")
    for uses in found:
        size = (uses.owner, f"{uses.values:,}", f"{uses.bytes / 1000:,.0f}")
        for route, counts in sorted(uses.routes.items()) or [("", {})]:
            table.add_row(
                *size,
                route,
                f"{sum(counts.values()):,}",
                *(f"{counts.get(use, 0):,}" for use in ("hit", "part", "miss")),
                f"{hit_rate(counts):.0%}",
            )
            size = ("", "", "")
    return table


def _config(path: Path | None) -> Config:
    from unabridged.compression.compress import COMPRESSORS
    from unabridged.policies.load import load

    return load(path, compressors=COMPRESSORS)
