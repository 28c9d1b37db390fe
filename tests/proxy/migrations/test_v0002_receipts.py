"""The second migration adds receipts to a ledger that is in use, and takes them away again."""

from __future__ import annotations

import sqlalchemy as sa

from unabridged.proxy.database import migrate, open_database


def test_a_ledger_in_use_gets_its_receipts_and_keeps_its_entries(database: str) -> None:
    engine = sa.create_engine(database)
    migrate(engine, to="0001")
    row = dict.fromkeys(("policy", "upstream", "sent_model", "step", "price_version", "basis"), "")
    with engine.begin() as connection:
        table = sa.Table("entries", sa.MetaData(), autoload_with=connection)
        connection.execute(table.insert(), {**row, "id": "e", "at_ms": 1, "org": "o"})
    upgraded = open_database(database)
    with upgraded.connect() as connection:
        assert connection.execute(sa.text("SELECT id FROM entries")).scalar() == "e"
        names = set(sa.inspect(connection).get_table_names())
    assert {"receipts", "receipt_details"} <= names
