"""Receipts of requests, and an index over the times of all entries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = sa.String(200)
TEXTS = (
    *("path", "model", "key", "team", "route", "policy", "upstream", "compressor"),
    *("outcome", "failure", "cache", "cache_depth", "gate", "tenant"),
)
STEPS = ("added", "read", "queue", "split", "plan", "compress", "store", "render", "restore")
NUMBERS = (
    *("status", "tokens_before", "tokens_after", "recovered", "nano_usd"),
    *("saved_nano_usd", "text_until_ms", *(f"{step}_us" for step in STEPS)),
)


def upgrade() -> None:
    """Makes the tables and the index."""
    op.create_table(
        "receipts",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        *(sa.Column(name, NAME, nullable=False) for name in TEXTS),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column("stream", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in NUMBERS),
    )
    op.create_index("receipts_at", "receipts", ["at_ms", "id"])
    op.create_table(
        "receipt_details",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False, index=True),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("segments", sa.Text, nullable=False),
    )
    op.create_index("entries_at", "entries", ["at_ms"])


def downgrade() -> None:
    """Drops them with all that is in them."""
    op.drop_index("entries_at", "entries")
    for name in ("receipt_details", "receipts"):
        op.drop_table(name)
