"""Texts of the proxy's own traffic to learn from: one tenant's, where its policy allowed it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from unabridged.proxy.database import receipts, snapshot
from unabridged.proxy.kept_text import KeptTexts

KINDS = ("document", "tool_output", "demonstration", "history")
"""What a compressor shortens, and so can learn from."""


def training_texts(
    engine: sa.Engine, texts: KeptTexts, *, tenant: str, now: datetime
) -> Iterator[dict[str, Any]]:
    """A row for each text, once, the oldest request first: `text`, its `tenant`, and `until`, the
    end of the time for which its policy keeps it. Raises StoreDown."""
    query = (
        sa.select(receipts.c.id, receipts.c.text_until_ms)
        .where(receipts.c.tenant == tenant)
        .where(receipts.c.text_until_ms > int(now.timestamp() * 1000))
        .order_by(receipts.c.at_ms, receipts.c.id)
    )
    with snapshot(engine) as connection:
        found = connection.execute(query).all()
    known: set[str] = set()
    for request_id, until_ms in found:
        kept = texts.to_learn_from(request_id, tenant)
        until = datetime.fromtimestamp(until_ms / 1000, UTC).isoformat(timespec="seconds")
        for segment in kept["segments"] if kept else ():
            text = segment["text"]
            if segment["kind"] in KINDS and text.strip() and text not in known:
                known.add(text)
                yield {"text": text, "tenant": tenant, "until": until}
