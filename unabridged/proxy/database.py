"""The SQL database: its tables, how it is opened, and how it is brought up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config as AlembicConfig
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x0AB21D6ED
"""Advisory lock that keeps two starting proxies from migrating one database at once."""

metadata = sa.MetaData()

_name = sa.String(200)

entries = sa.Table(
    "entries",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("org", _name, nullable=False),
    *(sa.Column(scope, _name) for scope in ("team", "user", "key", "route", "model")),
    *(
        sa.Column(text, _name, nullable=False)
        for text in ("policy", "upstream", "sent_model", "step", "price_version", "basis")
    ),
    *(
        sa.Column(number, sa.BigInteger)
        for number in (
            "estimated_nano_usd",
            "reserved_nano_usd",
            "nano_usd",
            "tokens_before",
            "tokens_after",
            "input_tokens",
            "cached_tokens",
            "output_tokens",
            "reasoning_tokens",
            "saved_nano_usd",
        )
    ),
    sa.Index("entries_by_time", "org", "at_ms"),
    sa.Index("entries_at", "at_ms"),
)
"""One row for each request; see Entry."""

RECEIPT_STEPS = (
    "added",
    "read",
    "queue",
    "split",
    "plan",
    "compress",
    "store",
    "render",
    "restore",
)
"""Steps whose time has a column of its own, `STEP_us`, in millionths of a second."""

receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    *(
        sa.Column(text, _name, nullable=False)
        for text in (
            *("path", "model", "key", "team", "route", "policy", "upstream", "compressor"),
            *("outcome", "failure", "cache", "cache_depth", "gate", "tenant"),
        )
    ),
    sa.Column("reason", sa.String(300), nullable=False),
    sa.Column("stream", sa.Boolean, nullable=False),
    *(
        sa.Column(number, sa.BigInteger)
        for number in (
            *("status", "tokens_before", "tokens_after", "recovered", "nano_usd"),
            *("saved_nano_usd", "text_until_ms", *(f"{step}_us" for step in RECEIPT_STEPS)),
        )
    ),
    sa.Index("receipts_at", "at_ms", "id"),
)
"""One row for each request, refused ones too; see Receipt. No text of prompt or answer."""

receipt_details = sa.Table(
    "receipt_details",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("record", sa.Text, nullable=False),
    sa.Column("segments", sa.Text, nullable=False),
)
"""The whole receipt and its segments, as JSON, of the newest requests; apart from `receipts`, so
that adding those up does not read it."""

positions = sa.Table(
    "positions",
    metadata,
    sa.Column("org", _name, primary_key=True),
    sa.Column("generation", sa.String(32), primary_key=True),
    sa.Column("position", sa.String(48), nullable=False),
)
"""How far each stream of the store has been copied; moved with the rows, in one transaction."""

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("name", _name, nullable=False),
    sa.Column("org", _name, nullable=False),
    sa.Column("team", _name),
    sa.Column("user", _name),
    sa.Column("policy", _name),
    sa.Column("models", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("expires_ms", sa.BigInteger),
    sa.Column("revoked_ms", sa.BigInteger),
    sa.Index("keys_by_name", "org", "name"),
)
"""Virtual keys: the digest under the pepper, never the key."""

budgets = sa.Table(
    "budgets",
    metadata,
    sa.Column("name", _name, primary_key=True),
    sa.Column("declaration", sa.Text),
    sa.Column("changed_ms", sa.BigInteger, nullable=False),
)
"""Budgets that were set at run time, as JSON; NULL: the file's budget of that name is off."""

versions = sa.Table(
    "versions",
    metadata,
    sa.Column("what", _name, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)
"""Counts the changes of keys and budgets, so that every proxy sees that there was one."""


class BadDatabaseUrl(ValueError):
    """The URL of the database cannot be read; says where it stands, and nothing of it."""


def database_url(given: str | None, state_dir: Path) -> URL:
    """The configured database; None: a SQLite file in the state directory. Raises
    BadDatabaseUrl."""
    if given is None:
        return URL.create("sqlite", database=str(state_dir / "ledger.db"))
    try:
        url = make_url(given)
    except (sa.exc.ArgumentError, ValueError):
        # What is wrong with it could be a part of its password.
        raise BadDatabaseUrl(
            "the URL of the database cannot be read (money.database in the configuration, or"
            " UNABRIDGED_DATABASE)"
        ) from None
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    return url


def open_database(url: URL | str) -> Engine:
    """An engine on an up-to-date database. Makes the file, the tables or what they lack."""
    url = make_url(url)
    if url.get_backend_name() == "sqlite":
        engine = _sqlite(url)
    else:
        engine = sa.create_engine(url, pool_pre_ping=True, pool_size=4, max_overflow=4)
    migrate(engine)
    return engine


def migrate(engine: Engine, to: str = "head") -> None:
    """Brings the tables to a revision of `migrations`."""
    settings = AlembicConfig()
    settings.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    settings.set_main_option("version_locations", str(MIGRATIONS).replace("%", "%%"))
    settings.set_main_option("path_separator", "newline")
    script = ScriptDirectory.from_config(settings)

    def steps(revision: Any, _: Any) -> Any:
        return script._upgrade_revs(to, revision)

    with engine.begin() as connection:
        _lock(connection)
        with EnvironmentContext(settings, script, fn=steps) as environment:
            environment.configure(connection=connection, target_metadata=metadata)
            environment.run_migrations()


def snapshot(engine: Engine) -> Connection:
    """A connection whose reads all see the database at one instant."""
    if engine.dialect.name == "postgresql":
        return engine.connect().execution_options(isolation_level="REPEATABLE READ")
    return engine.connect().execution_options(reads_only=True)


def insert_new(table: sa.Table, connection: Connection) -> Any:
    """An INSERT that leaves rows alone that are there already."""
    return _insert(table, connection).on_conflict_do_nothing()


def upsert(
    table: sa.Table, connection: Connection, *, where: sa.ColumnElement[bool] | None = None
) -> Any:
    """An INSERT that replaces a row of the same primary key, if it is as `where` says."""
    statement = _insert(table, connection)
    key = [column.name for column in table.primary_key]
    rest = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=rest, where=where)


def _insert(table: sa.Table, connection: Connection) -> Any:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": 10})

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        # The driver begins no transaction before a SELECT, so two reads could see two states.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        connection.exec_driver_sql("BEGIN" if options.get("reads_only") else "BEGIN IMMEDIATE")

    return engine
