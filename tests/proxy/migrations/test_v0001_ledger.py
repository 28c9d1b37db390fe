"""The first migration makes exactly the tables that the code uses, and takes them away again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from unabridged.proxy.database import metadata, migrate, open_database


def test_migrated_tables_are_the_declared_ones(database: str) -> None:
    engine = open_database(database)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_an_up_to_date_database_changes_nothing(database: str) -> None:
    engine = open_database(database)
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO versions VALUES ('keys', 3)"))
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version FROM versions")).scalar() == 3
