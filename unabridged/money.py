"""The commands about money: keys, budgets and what was spent."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unabridged import terminal

if TYPE_CHECKING:
    from rich.table import Table

    from unabridged.proxy.spend import Row
    from unabridged.proxy.treasury import Records
    from unabridged.proxy.virtual_keys import VirtualKey

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="UNABRIDGED_CONFIG",
        metavar="FILE",
        help="Configuration file; without one, the shipped default is used.",
    ),
]
Org = Annotated[str | None, typer.Option(help="Only of this organisation.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Which = Annotated[str, typer.Argument(metavar="ID|NAME", help="The key's id or name.")]


class BadArgument(ValueError):
    """An argument cannot be understood; says which and how it is written."""


def _examples(*lines: str) -> str:
    return "Examples:\n\n" + "\n\n".join(f"  [cyan]unabridged {line}[/cyan]" for line in lines)


keys = typer.Typer(help="The keys that callers present.", no_args_is_help=True)
budgets = typer.Typer(help="What may be spent, changed while the proxy runs.", no_args_is_help=True)


@keys.command(
    "create",
    epilog=_examples(
        "keys create --name ci --org acme --team research",
        "keys create --name alice --org acme --user alice --expires 90d --models 'gpt-4o*'",
    ),
)
def keys_create(
    name: Annotated[str, typer.Option(help="What the key is called; unique in its org.")],
    org: Annotated[str, typer.Option(help="Organisation that pays.")] = "default",
    team: Annotated[str | None, typer.Option(help="Team that pays.")] = None,
    user: Annotated[str | None, typer.Option(help="User that pays.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long it lives, such as 90d or 12h.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(metavar="NAME", help="Policy of all requests with this key.")
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="A model it may ask; repeatable.")
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Make a key. It is shown once and kept nowhere."""
    records, policies = _open(config)
    if policy is not None and policy not in policies:
        raise BadArgument(f"unknown policy {policy!r}; known: {', '.join(sorted(policies))}")
    now_ms = _now_ms()
    secret, key = records.ring.create(
        name=name,
        org=org,
        team=team,
        user=user,
        policy=policy,
        models=models or (),
        now_ms=now_ms,
        expires_ms=now_ms + seconds(expires) * 1000 if expires else None,
    )
    _show_secret(secret, key, as_json)


@keys.command("list", epilog=_examples("keys list", "keys list --org acme --json"))
def keys_list(org: Org = None, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Show the keys, without their secrets."""
    records, _ = _open(config)
    found = records.ring.all(org)
    if as_json:
        terminal.write_json({"keys": [key.record() for key in found]}, indent=2)
    else:
        terminal.console().print(_keys_table(found, _now_ms()))


@keys.command("revoke", epilog=_examples("keys revoke ci --org acme"))
def keys_revoke(which: Which, org: Org = None, config: ConfigFile = None) -> None:
    """End a key. Running proxies refuse it within a second or two."""
    records, _ = _open(config)
    key = records.ring.revoke(which, now_ms=_now_ms(), org=org)
    typer.echo(f"key {key.id} ({key.name}) of {key.org} is revoked")


@keys.command("rotate", epilog=_examples("keys rotate ci --org acme --grace 1h"))
def keys_rotate(
    which: Which,
    grace: Annotated[
        str, typer.Option(metavar="TIME", help="How long the old key still works.")
    ] = "0s",
    org: Org = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Make a new key in place of one, with all that belongs to it."""
    records, _ = _open(config)
    secret, key = records.ring.rotate(
        which, now_ms=_now_ms(), grace_ms=seconds(grace) * 1000, org=org
    )
    _show_secret(secret, key, as_json)


@budgets.command("list", epilog=_examples("budgets list"))
def budgets_list(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Show the budgets in force: the file's, and those that were set since."""
    records, _ = _open(config)
    listed = [budget.model_dump(mode="json") for budget in records.book.current.all]
    if as_json:
        terminal.write_json({"budgets": listed}, indent=2)
        return
    from rich.table import Table

    table = Table("budget", "for", "each", "window", "limit", "at")
    for budget in records.book.current.all:
        match = [f"{k} {v}" for k, v in budget.match.model_dump().items() if v is not None]
        steps = [f"{share} {step.said}" for _, share, step in budget.steps]
        zone = "" if budget.time_zone == "UTC" else f" ({budget.time_zone})"
        limit = f"${budget.limit}" if budget.unit == "money" else f"{budget.limit} {budget.unit}"
        table.add_row(
            budget.name,
            ", ".join(match) or "all",
            budget.each or "",
            budget.window + zone,
            limit,
            ", ".join(steps),
        )
    terminal.console().print(table)


@budgets.command(
    "set",
    epilog=_examples(
        "budgets set '{name: research, match: {team: research}, window: month, limit: 100}'",
        "budgets set @budget.yaml",
    ),
)
def budgets_set(
    declaration: Annotated[
        str, typer.Argument(metavar="YAML|@FILE", help="As under `budgets` in the configuration.")
    ],
    config: ConfigFile = None,
) -> None:
    """Declare or replace a budget. Running proxies have it within a second or two."""
    from unabridged.compression.compress import COMPRESSORS
    from unabridged.policies.load import parse_budget

    name = declaration.removeprefix("@")
    text = terminal.read(name) if declaration.startswith("@") else declaration
    records, policies = _open(config)
    budget = parse_budget(
        text,
        name if declaration.startswith("@") else "budget",
        policies=policies,
        compressors=COMPRESSORS,
    )
    records.book.set(budget, now_ms=_now_ms())
    typer.echo(f"budget {budget.name!r} is set")


@budgets.command("remove", epilog=_examples("budgets remove research"))
def budgets_remove(
    name: Annotated[str, typer.Argument(help="The budget's name.")], config: ConfigFile = None
) -> None:
    """End a budget, also one of the file."""
    records, _ = _open(config)
    records.book.remove(name, now_ms=_now_ms())
    typer.echo(f"budget {name!r} is ended")


def spend(
    by: Annotated[
        str, typer.Option(help="org, team, user, key, route, model, sent_model, policy, ...")
    ] = "team",
    window: Annotated[
        str, typer.Option(help="minute, hour, day, week, month or total: the current one.")
    ] = "month",
    time_zone: Annotated[str, typer.Option(help="Where days, weeks and months begin.")] = "UTC",
    org: Org = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV, in nano-dollars.")] = False,
    config: ConfigFile = None,
) -> None:
    """What was spent and saved, from the ledger."""
    from typing import get_args
    from zoneinfo import ZoneInfo

    from unabridged.policies.budget import WindowKind
    from unabridged.proxy import spend as ledger

    kinds: tuple[Any, ...] = get_args(WindowKind)
    if window not in kinds:
        raise BadArgument(f"unknown window {window!r}; known: {', '.join(kinds)}")
    kind = kinds[kinds.index(window)]
    try:
        ZoneInfo(time_zone)
    except (OSError, ValueError, KeyError):
        raise BadArgument(f"unknown time zone {time_zone!r}; such as UTC or Asia/Seoul") from None
    records, _ = _open(config)
    found = ledger.spend(
        records.engine, now_ms=_now_ms(), by=by, kind=kind, time_zone=time_zone, org=org
    )
    if csv:
        terminal.write(ledger.as_csv(found.rows))
    else:
        terminal.console().print(_spend_table(found.rows, found.total, by, window))


def seconds(text: str) -> int:
    """`90d`, `12h`, `30m`, `45s` or `2w` in seconds. Raises BadArgument."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if found is None:
        raise BadArgument(f"a time is written such as 90d, 12h, 30m or 45s, not {text!r}")
    return int(found[1]) * UNITS[found[2]]


def _open(config: Path | None) -> tuple[Records, set[str]]:
    """The records of the configuration's database, and the names of its policies."""
    from unabridged.compression.compress import COMPRESSORS
    from unabridged.policies.load import load
    from unabridged.proxy.serve import state_home
    from unabridged.proxy.store import server_secret
    from unabridged.proxy.treasury import open_records

    settled = load(config, compressors=COMPRESSORS)
    home = state_home()
    secret = server_secret(home, os.environ)
    records = open_records(settled, state_dir=home, environment=os.environ, secret=secret)
    return records, set(settled.policies)


def _now_ms() -> int:
    return int(time.time() * 1000)


def _show_secret(secret: str, key: VirtualKey, as_json: bool) -> None:
    if as_json:
        terminal.write_json({"secret": secret, "key": key.record()}, indent=2)
        return
    typer.echo(secret)
    typer.echo(f"This is key {key.id}. It is not shown again.", err=True)


def _keys_table(found: list[VirtualKey], now_ms: int) -> Table:
    from rich.table import Column, Table

    names = ("name", "org", "team", "user", "policy", "models", "made", "state")
    table = Table(Column("id", no_wrap=True), *names)
    for key in found:
        state = "valid" if key.valid(now_ms) else "revoked" if key.revoked_ms else "expired"
        if key.expires_ms and state == "valid":
            state = f"until {_day(key.expires_ms)}"
        row = (key.id, key.name, key.org, key.team, key.user, key.policy)
        table.add_row(*(v or "" for v in row), " ".join(key.models), _day(key.created_ms), state)
    return table


def _spend_table(rows: list[Row], total: Row, by: str, window: str) -> Table:
    from rich.table import Table

    from unabridged.proxy.refusal import dollars

    table = Table(
        by,
        *("requests", "spent", "saved", "median saved", "prompt tokens", "sent", "median cut"),
        *("answered", "without a cost"),
        title=f"this {window}" if window != "total" else "so far",
        show_footer=False,
    )
    for row in [*rows, total]:
        if row is total:
            table.add_section()
        table.add_row(
            row.group or "(none)",
            *(f"{row.requests:,}", dollars(row.nano_usd), dollars(row.saved_nano_usd)),
            dollars(round(row.medians.get("saved_nano_usd") or 0)),
            *(f"{row.tokens_before:,}", f"{row.tokens_after:,}"),
            f"{row.medians.get('saved_share') or 0:.0%}",
            *(f"{row.output_tokens:,}", f"{row.unpriced + row.lost:,}"),
        )
    return table


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
