"""First tables: entries, stream positions, keys, budgets and the counts of their changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.String(200)
SCOPES = ("team", "user", "key", "route", "model")
TEXTS = ("policy", "upstream", "sent_model", "step", "price_version", "basis")
NUMBERS = (
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


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "entries",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("org", NAME, nullable=False),
        *(sa.Column(name, NAME) for name in SCOPES),
        *(sa.Column(name, NAME, nullable=False) for name in TEXTS),
        *(sa.Column(name, sa.BigInteger) for name in NUMBERS),
    )
    op.create_index("entries_by_time", "entries", ["org", "at_ms"])
    op.create_table(
        "positions",
        sa.Column("org", NAME, primary_key=True),
        sa.Column("generation", sa.String(32), primary_key=True),
        sa.Column("position", sa.String(48), nullable=False),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("org", NAME, nullable=False),
        sa.Column("team", NAME),
        sa.Column("user", NAME),
        sa.Column("policy", NAME),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger),
        sa.Column("revoked_ms", sa.BigInteger),
    )
    op.create_index("keys_by_name", "keys", ["org", "name"])
    op.create_table(
        "budgets",
        sa.Column("name", NAME, primary_key=True),
        sa.Column("declaration", sa.Text),
        sa.Column("changed_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "versions",
        sa.Column("what", NAME, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drops the tables with all that is in them."""
    for name in ("versions", "budgets", "keys", "positions", "entries"):
        op.drop_table(name)
